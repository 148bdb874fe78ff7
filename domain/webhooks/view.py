"""Endpoints as people see them, over HTTP and on the command line."""

from collections.abc import Mapping
from typing import Any

from domain.webhooks.model import Endpoint
from topics.base import format_time


def shown(one: Endpoint) -> Mapping[str, Any]:
    """Without its secret."""
    return {
        "id": one.id,
        "url": one.url,
        "events": one.events,
        "fields": one.fields,
        "description": one.description,
        "enabled": one.enabled,
        "disabled_reason": one.disabled,
        "failing_since": None if one.failing_since is None else format_time(one.failing_since),
        "old_secret_until": None if one.old_until is None else format_time(one.old_until),
        "created_at": format_time(one.created_at),
    }
