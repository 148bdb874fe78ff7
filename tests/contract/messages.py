"""Values as the line writes them, for tests of what reads them."""

from datetime import UTC, datetime
from typing import Any

from domain.ports import Item
from topics.codec import encode
from topics.records import LifecycleEvent, UsageRecord
from topics.result import PromptResult
from topics.table import EVENTS, RESULTS, USAGE

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def item(topic: str, value: bytes, offset: int = 0) -> Item:
    return Item(topic, 0, offset, NOON, b"key", value)


def result(id: str = "r1", **fields: Any) -> Item:
    whole = {
        "id": id,
        "tenant": "acme",
        "run": 1,
        "status": "completed",
        "output": {"label": "positive"},
        "model": "small",
        "provider": "simulated",
        "usage": {"input_tokens": 31, "output_tokens": 8, "cost_usd": "0.0000094", "attempts": 1},
        "timings": {"queued_ms": 4, "provider_ms": 412, "total_ms": 421},
        "request_hash": "sha256:00",
        "tags": {"team": "support"},
        "submitted_at": NOON,
        "completed_at": NOON,
        **fields,
    }
    return item(RESULTS, encode(PromptResult.model_validate(whole)))


def call(id: str = "r1", attempt: int = 1, **fields: Any) -> Item:
    whole = {
        "id": id,
        "tenant": "acme",
        "run": 1,
        "attempt": attempt,
        "provider": "simulated",
        "model": "small",
        "tags": {"team": "support"},
        "outcome": "ok",
        "input_tokens": 31,
        "output_tokens": 8,
        "cost_usd": "0.0000094",
        "price_version": "2026-01",
        "latency_ms": 412,
        "at": NOON,
        **fields,
    }
    return item(USAGE, encode(UsageRecord.model_validate(whole)))


def event(event_id: str = "e1", **fields: Any) -> Item:
    whole = {"event_id": event_id, "type": "request.waiting", "tenant": "acme", "id": "r1", "at": NOON, **fields}
    return item(EVENTS, encode(LifecycleEvent.model_validate(whole)))
