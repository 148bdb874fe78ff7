"""Bodies for Zapier and Make: one level, so that every field can be picked by its name. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

JOINED = "__"
DEEPEST = 16


def flat(event: str, id: str, at: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """`output: {label: …}` is `output__label`; a list is its JSON as text, what is empty is null."""
    return {"event": event, "delivery_id": id, "timestamp": at, **dict(_leaves("", data, 0))}


def _leaves(name: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value and depth < DEEPEST:
        for key, inner in value.items():
            yield from _leaves(f"{name}{JOINED}{key}" if name else str(key), inner, depth + 1)
    elif isinstance(value, Mapping | list):
        yield name, orjson.dumps(value).decode() if value else None
    else:
        yield name, value
