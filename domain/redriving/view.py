"""A dead letter as people and programs see it."""

import base64
from typing import Any

import orjson

from domain.letters.model import Letter
from domain.redriving.redriver import Report
from topics.base import format_money, format_time

SKIPPED_SHOWN = 100


def summary(letter: Letter) -> dict[str, Any]:
    """A row of a listing. `redriven` is null, or when, and as which run (null: its record was published again)."""
    at = letter.redriven_at
    return {
        "letter": letter.letter,
        "tenant": letter.tenant,
        "id": letter.id,
        "run": letter.run,
        "code": letter.code,
        "stage": letter.stage,
        "reason": letter.reason,
        "topic": letter.topic,
        "attempts": letter.attempts,
        "size": letter.size,
        "first_seen": format_time(letter.first_seen),
        "last_seen": format_time(letter.last_seen),
        "redriven": None if at is None else {"at": format_time(at), "run": letter.redriven_run},
    }


def whole(letter: Letter) -> dict[str, Any]:
    """The summary, and the DeadLetter message as it was produced, with its value as `text` where it is text."""
    try:
        message = orjson.loads(letter.body or b"null")
    except orjson.JSONDecodeError:
        message = None
    value = message.get("value") if isinstance(message, dict) else None
    return {**summary(letter), "message": message, "text": _text(value)}


def report(found: Report) -> dict[str, Any]:
    """What became of an order to redrive; at most 100 of the skipped are named."""
    estimate = found.estimate
    return {
        "dry_run": found.dry_run,
        "matched": found.matched,
        "redriven": found.redriven,
        "skipped": len(found.skipped),
        "reasons": [{"letter": name, "reason": why} for name, why in found.skipped[:SKIPPED_SHOWN]],
        "more": found.more,
        "estimate": {
            "requests": estimate.requests,
            "input_tokens": estimate.input_tokens,
            "output_tokens_at_most": estimate.output_tokens_at_most,
            "usd_at_least": format_money(estimate.usd_at_least),
            "usd_at_most": format_money(estimate.usd_at_most),
        },
        "first_due": None if found.first_due is None else format_time(found.first_due),
        "last_due": None if found.last_due is None else format_time(found.last_due),
    }


def _text(value: Any) -> str | None:
    try:
        return base64.b64decode(value).decode()
    except (ValueError, TypeError):  # not text, or no value
        return None
