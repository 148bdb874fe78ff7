"""PromptCall: an admitted request on its way from intake to infer. Internal and versioned (rule S7).

It is a plain dataclass, not a pydantic model: both ends are ours, and it is read once an event on the hot path.
`run` travels beside it (a header of the record), so that the ledger can store the same bytes for every run.
"""

from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from topics.packed import packed

CALL_VERSION = 1
"""The version this code writes. A reader older than `min_reader` of a record pauses its partition (rule S7)."""

_KEPT = frozenset({"model", "messages", "output_schema"})
"""Written also when empty: a refused request has neither model nor messages, and must still be readable."""


@dataclass(slots=True)
class PromptCall:
    """Everything infer needs. Times are RFC 3339 text, `max_cost_usd` a decimal string.

    streams: the instance at `reply_to` wants the text while it is written.
    cut_is_answer: who asked takes a text that `max_tokens` cut for an answer, as OpenAI's clients do.
    limit_is_default: `max_tokens` of the parameters is the template's and not the request's own.
    reject_on_limit: the request is rejected where it would have to wait for money.
    fresh: the answer is not to be one that is known, or that somebody else is being given (`cache: refresh`).
    similar: what an answer to the same question in other words has in common with it (domain/caching/semantic.py).
    `key` and the values of `headers` are the caller's bytes as latin-1 text, which every byte survives.
    """

    tenant: str
    id: str
    lane: str
    model: str
    messages: list[dict[str, Any]]
    request_hash: str
    submitted_at: str
    output_schema: dict[str, Any] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    provider_options: dict[str, Any] = field(default_factory=dict)
    cache_key: str | None = None
    cache_ttl_s: int | None = None
    fresh: bool = False
    similar: dict[str, Any] | None = None
    template: dict[str, Any] | None = None
    schema_ref: dict[str, Any] | None = None
    deadline: str | None = None
    max_cost_usd: str | None = None
    on_unknown_outcome: str = "retry"
    repair: dict[str, Any] | None = None
    limit_is_default: bool = False
    reject_on_limit: bool = False
    streams: bool = False
    cut_is_answer: bool = False
    subject: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    callback_url: str | None = None
    api_key_id: str | None = None
    batch_id: str | None = None
    reply_to: str | None = None
    traceparent: str | None = None
    key: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)

    def encode(self) -> bytes:
        """JSON without what is empty and optional (an empty schema is not empty: it asks for any JSON)."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return packed({name: v for name, v in fields.items() if v or (name in _KEPT and v is not None)})

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The inverse of `encode`; fields of a newer writer that allows this reader are ignored."""
        fields = orjson.loads(raw)
        try:
            return cls(**fields)
        except TypeError:
            return cls(**{name: value for name, value in fields.items() if name in cls.__slots__})
