"""Sinks as the API and the command line show them."""

from datetime import datetime
from typing import Any

from domain.sinks.model import SinkView, place_text
from topics.base import format_time


def fields(sink: SinkView, now: datetime) -> dict[str, Any]:
    """One sink; figures are those of its processes that are alive, together."""
    alive = sink.alive(now)
    oldest = [one.oldest_at for one in alive if one.oldest_at is not None]
    rewind = sink.orders.rewind
    return {
        "name": sink.name,
        "state": sink.state(now),
        "paused_at": _time(sink.orders.paused_at),
        "lag": sink.lag(now),
        "rows": sum(one.rows for one in alive),
        "refused": sum(one.refused for one in alive),
        "errors": sum(one.errors for one in alive),
        "oldest_at": _time(min(oldest)) if oldest else None,
        "detail": next((one.detail for one in alive if one.detail), None),
        "replay": None
        if rewind is None
        else {
            "number": rewind.number,
            "since": _time(rewind.since),
            "offsets": {place_text(place): offset for place, offset in sorted(rewind.offsets.items())},
            "followed": sorted(map(place_text, sink.orders.rewound)),
        },
        "processes": [
            {"name": one.report.member, "state": one.report.state, "lag": one.report.lag, "seen_at": _time(one.seen_at)}
            for one in sink.members
        ],
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else format_time(at)
