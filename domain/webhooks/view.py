"""Endpoints as people see them, over HTTP and on the command line."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.webhooks import status
from domain.webhooks.model import Endpoint, Queued
from topics.base import format_time


def shown(one: Endpoint) -> Mapping[str, Any]:
    """A webhook, without its secret."""
    return {
        "id": one.id,
        "url": one.url,
        "events": one.events,
        "events_not_sent_yet": one.unsent,
        "fields": one.fields,
        "description": one.description,
        "enabled": one.enabled,
        "disabled_reason": one.disabled,
        "failing_since": _time(one.failing_since),
        "old_secret_until": _time(one.old_until),
        "created_at": format_time(one.created_at),
    }


def destination(one: Endpoint, queued: Queued) -> Mapping[str, Any]:
    """Whatever its kind, with how it is; without its secrets."""
    return {
        "id": one.id,
        "kind": one.kind,
        "url": one.url,
        "bucket": _bucket(one),
        "events": one.events,
        "events_not_sent_yet": one.unsent,
        "fields": one.fields,
        "redact": one.redact,
        "description": one.description,
        "state": status.state(one),
        "disabled_reason": one.disabled,
        "failing_since": _time(one.failing_since),
        "last_success_at": _time(one.last_success_at),
        "last_error": _last_error(one),
        "waiting": queued.waiting,
        "oldest_waiting_since": _time(queued.since),
        "given_up": one.given_up,
        "created_at": format_time(one.created_at),
    }


def _bucket(one: Endpoint) -> Mapping[str, Any] | None:
    found = one.bucket
    return (
        None
        if found is None
        else {
            "name": found.name,
            "region": found.region,
            "endpoint": found.endpoint,
            "prefix": found.prefix,
            "access_key_id": found.access_key,
            "every_seconds": found.every_s,
        }
    )


def _last_error(one: Endpoint) -> Mapping[str, Any] | None:
    if one.last_error_at is None:
        return None
    what, remedy = status.told(one.last_status, one.last_error)
    return {"at": format_time(one.last_error_at), "status": one.last_status, "what": what, "remedy": remedy}


def _time(at: datetime | None) -> str | None:
    return None if at is None else format_time(at)
