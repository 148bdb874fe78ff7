"""The exact cache's key: two requests share an answer only if nothing that shapes the answer differs."""

from hashlib import sha256
from typing import Any

import orjson


def cache_key(
    tenant: str,
    model: str,
    messages: list[dict[str, Any]],
    parameters: dict[str, Any],
    provider_options: dict[str, Any],
    schema: dict[str, Any] | list[Any] | None,
) -> str:
    """`<tenant>:<64 hex digits>`, the tenant in the clear so that no two tenants can ever meet.

    `model` names what may answer (an alias or the deployments behind it). The order of object keys does not matter,
    the order of messages does; 1 and 1.0 are different. `schema` is what `stamped` makes of it.
    """
    parts = [model, messages, parameters, provider_options, schema]
    return f"{tenant}:{sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()}"


def stamped(schema: dict[str, Any] | None, ref: dict[str, Any] | None) -> dict[str, Any] | list[Any] | None:
    """The schema as part of a key, with the name and version of a named one: no JSON Schema is a list."""
    return schema if ref is None else [schema, ref]


def question(key: str) -> bytes:
    """What two requests have in common that ask the same: 32 bytes of a cache key (rule L14)."""
    return sha256(key.encode()).digest()
