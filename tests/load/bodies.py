"""What the clients of a load send. No prompt is sent twice unless it is meant to be: the cache would answer it."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BATCH = 20
SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["positive", "negative", "neutral"]}, "confidence": {"type": "number"}},
    "required": ["label"],
    "additionalProperties": False,
}
BEYOND_LIMIT = 1_100_000


@dataclass(frozen=True, slots=True)
class Poison:
    """A body that must be refused, and how. Without a key of its own it comes with the client's."""

    name: str
    body: bytes
    statuses: tuple[int, ...]
    headers: Mapping[str, str] = field(default_factory=dict)


def request(**more: Any) -> dict[str, Any]:
    """A request that nobody else sends, with an id, so that it may be repeated safely."""
    id = f"load-{uuid.uuid4()}"
    return {"id": id, "prompt": f"Parcel {id} came a day late. Is that good?", "output_schema": SCHEMA, **more}


def batch() -> list[dict[str, Any]]:
    """A job of many requests that can wait."""
    name = f"load-{uuid.uuid4().hex[:12]}"
    return [request(lane="bulk", tags={"batch": name}) for _ in range(BATCH)]


def poisons() -> list[Poison]:
    """Each with an id that nobody has."""
    fine = request()
    return [
        Poison("not JSON", b"{'prompt':", (422,)),
        Poison("not UTF-8", b'{"prompt":"\xff\xfe"}', (422,)),
        Poison("not a number", b'{"prompt":"a","metadata":{"x":NaN}}', (422,)),
        Poison("nested too deeply", b'{"metadata":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, (422,)),
        Poison("an unknown field", _body(fine, promt="a"), (422,)),
        Poison("two prompts", _body(fine, messages=[{"role": "user", "content": "a"}]), (422,)),
        Poison("an unknown model", _body(fine, model="no-such-model"), (422,)),
        Poison("a schema that is none", _body(fine, output_schema={"type": "nothing"}), (422,)),
        Poison("too large", _body(fine, prompt="a" * BEYOND_LIMIT), (413,)),
        # whoever tries many keys is told to wait
        Poison("no such key", _body(fine), (401, 429), {"authorization": "Bearer sp_live_mistyped"}),
    ]


def _body(fine: dict[str, Any], **wrong: Any) -> bytes:
    return json.dumps({**fine, **wrong}).encode()
