"""What somebody wants forgotten, as scopes; and the records that say so to every process."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from domain.admission.prepare import Origin, Preparer
from domain.caching.generations import Scope, invalidation, schema_name
from domain.errors import InvalidRequest, Problem
from domain.ports import Record
from domain.trail.model import Change
from topics.base import Message
from topics.codec import check_request, encode
from topics.table import CONTROL

_Name = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class Invalidation(Message):
    """Which answers are out of date; what is named in several ways is forgotten for each of them.

    `template` and `output_schema` take `name` or `name@version`; `output_schema` also takes a JSON Schema, `tag`
    `name=value` or `name`, `model` an alias or `provider/model`. `request` is the body of a request whose answer is
    meant, `key` the 64 hex digits of a cache key. `all` is everything.
    """

    all: Annotated[bool, Field(strict=True)] = False
    key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    template: _Name | None = None
    output_schema: _Name | dict[str, Any] | None = None
    model: _Name | None = None
    tag: _Name | None = None
    request: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.all and all(getattr(self, name) is None for name in self.__class__.model_fields if name != "all"):
            raise ValueError("say what: all, key, template, output_schema, model, tag or request")
        return self


async def scopes(tenant: str, wanted: Invalidation, preparer: Preparer, now: datetime) -> list[Scope]:
    """Raises Unreadable and InvalidRequest where `request` is none, or has no answer that could be kept."""
    found = [Scope("tenant")] if wanted.all else []
    found += [Scope("key", wanted.key)] if wanted.key else []
    found += [Scope("template", wanted.template)] if wanted.template else []
    schema = wanted.output_schema
    if schema is not None:
        found.append(Scope("schema", schema if isinstance(schema, str) else schema_name(schema)))
    found += [Scope("model", wanted.model)] if wanted.model else []
    found += [Scope("tag", wanted.tag)] if wanted.tag else []
    if wanted.request is not None:
        fields = {"id": "cache", **wanted.request, "tenant": tenant}
        request = check_request(fields, b"").request
        await preparer.load((request,))
        key = preparer.prepare(request, Origin("", now)).cache_key
        if key is None:
            reason = "the answer to a request with cache: bypass is not kept"
            raise InvalidRequest("invalid_request", reason, [Problem("/request/cache", reason)])
        found.append(Scope("key", key.rpartition(":")[2]))
    return found


def forgotten(tenant: str, found: Sequence[Scope]) -> Change:
    """For the audit log."""
    said = [{"kind": scope.kind, "value": scope.value} for scope in found]
    return Change(tenant, "cache.invalidate", "cache", "", None, {"scopes": said})


def records(tenant: str, wanted: Sequence[Scope], generation: str, at: datetime) -> list[Record]:
    """For prompt.control; keyed by subject, so that the newest of a scope is kept."""
    messages = [invalidation(tenant, scope, generation, at) for scope in wanted]
    return [Record(CONTROL, encode(message), message.subject.encode()) for message in messages]
