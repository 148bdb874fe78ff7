"""What was declared out of date, and how a cache key knows (rule L13). Pure.

An invalidation deletes nothing. It gives the scope it names a new *generation*, and the key of every request in that
scope contains it: what was answered, or asked, before has another key and is not found any more. So an answer that is
on its way while its scope is invalidated goes to the old key, and a process needs to hear one message, whatever is kept
near and far.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, get_args

import orjson

from domain.caching.entry import lifetime
from topics.call import PromptCall
from topics.records import ControlMessage

Kind = Literal["tenant", "key", "template", "schema", "model", "tag"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MESSAGE: Literal["cache.invalidate"] = "cache.invalidate"


@dataclass(frozen=True, slots=True)
class Scope:
    """Part of a tenant's answers.

    tenant    all of them (`value` is empty)
    key       the answer to one question: the 64 hex digits of its cache key
    template  a template's (`sentiment`), or those of a version (`sentiment@2`)
    schema    those to requests with a named schema (`label`, `label@3`), or with this one (`schema_name`)
    model     those to requests for an alias (`fast`) or for what may answer it (`openai/gpt-4o-mini`)
    tag       those to requests with this tag (`team=support`), or with any value of it (`team`)
    """

    kind: Kind
    value: str = ""

    def subject(self, tenant: str) -> str:
        """The key of its message on the compacted topic: the newest invalidation of a scope is the one that counts."""
        return f"cache/{tenant}/{self.kind}/{self.value}"


def schema_name(schema: dict[str, Any]) -> str:
    """`sha256:<64 hex digits>` of a schema that has no name; the order of its keys does not matter."""
    return "sha256:" + sha256(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)).hexdigest()


def invalidation(tenant: str, scope: Scope, generation: str, at: datetime) -> ControlMessage:
    """What makes every process forget the answers of a scope. `generation` is never used twice."""
    data = {"tenant": tenant, "kind": scope.kind, "value": scope.value, "generation": generation}
    return ControlMessage(type=MESSAGE, subject=scope.subject(tenant), data=data, at=at)


class Generations:
    """The invalidations that a process has heard of, by tenant. `alias` gives what may answer a model."""

    def __init__(self, alias: Callable[[str], Iterable[str]] = lambda _: ()) -> None:
        self._alias = alias
        self._known: dict[str, dict[Scope, str]] = {}

    def hear(self, message: bytes) -> bool:
        """Take in a ControlMessage; False when it says nothing about the cache, or nothing that can be read."""
        try:
            said = orjson.loads(message)
            data = said["data"]
            if said["type"] != MESSAGE or data["kind"] not in KINDS:
                return False
            scope = Scope(data["kind"], str(data["value"]))
            self._known.setdefault(str(data["tenant"]), {})[scope] = str(data["generation"])
        except (ValueError, KeyError, TypeError):
            return False
        return True

    def key(self, call: PromptCall) -> str | None:
        """The cache key of a call that has one, with the generations of the scopes it is in."""
        known = self._known.get(call.tenant)
        if known is None or call.cache_key is None:
            return call.cache_key
        kinds = {scope.kind for scope in known}
        scopes = (Scope(kind, value) for kind in KINDS if kind in kinds for value in self._values(kind, call))
        found = [generation for scope in scopes if (generation := known.get(scope)) is not None]
        if not found:
            return call.cache_key
        return f"{call.cache_key}.{sha256(' '.join(found).encode()).hexdigest()[:16]}"

    def _values(self, kind: Kind, call: PromptCall) -> list[str]:
        if kind == "tenant":
            return [""]
        if kind == "key":
            return [(call.cache_key or "").rpartition(":")[2]]
        if kind == "template":
            return _versions(call.template)
        if kind == "schema":
            return [*_versions(call.schema_ref), *([schema_name(call.output_schema)] if call.output_schema else [])]
        if kind == "model":
            return list(dict.fromkeys([call.model, *self._alias(call.model)]))
        return [text for name, value in sorted(call.tags.items()) for text in (name, f"{name}={value}")]


def plain(key: str) -> str:
    """A cache key without the generations in it."""
    tenant, _, rest = key.rpartition(":")
    return f"{tenant}:{rest.partition('.')[0]}"


def cacheable(call: PromptCall, tenant_ttl_s: int | None, known: Generations) -> PromptCall:
    """With the key under which its answer is known as of now, or without one, and how long it is kept.

    tenant_ttl_s: how long its tenant keeps answers, where it says so.
    """
    if tenant_ttl_s is not None:
        call.cache_ttl_s = lifetime(tenant_ttl_s, call.cache_ttl_s, tenant_ttl_s)
    call.cache_key = None if call.cache_ttl_s == 0 else known.key(call)
    return call


def _versions(named: dict[str, Any] | None) -> list[str]:
    return [named["name"], f"{named['name']}@{named['version']}"] if named else []
