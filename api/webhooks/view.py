"""Deliveries as the API shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from domain.webhooks.model import Attempt, Delivery
from topics.base import format_time


def delivery(one: Delivery, links: Mapping[str, str]) -> Mapping[str, Any]:
    """A line of the log; with its body where one was asked for."""
    shown = {
        "id": one.id,
        "type": one.type,
        "status": one.status,
        "timestamp": format_time(one.at),
        "created_at": format_time(one.created_at),
        "next_attempt_at": _time(one.next_attempt_at),
        "attempts": [_attempt(attempt) for attempt in one.attempts],
        "links": links,
    }
    return shown if one.body is None else {**shown, "body": orjson.Fragment(one.body)}


def links(endpoint: str, delivery: str) -> Mapping[str, str]:
    """`endpoint` is its path."""
    place = f"{endpoint}/deliveries/{delivery}"
    return {"self": place, "retry": f"{place}/retry"}


def _attempt(one: Attempt) -> Mapping[str, Any]:
    return {
        "at": format_time(one.at),
        "outcome": one.outcome,
        "duration_ms": one.ms,
        "status": one.status,
        "error": one.error or None,
        "request_headers": one.request,
        "response_head": one.head or None,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else format_time(at)
