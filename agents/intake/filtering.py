"""Prompts that may not be asked: rejected with their ids claimed, like anything else that is refused."""

from collections.abc import Sequence
from dataclasses import replace

from agents.intake.reading import Incoming
from domain.ledger.results import rejected
from domain.ports import ContentFilter, Prompt


async def filtered(incoming: Sequence[Incoming], content_filter: ContentFilter) -> list[Incoming]:
    """The same, those that the filter stops with a refusal. Raises Unavailable: nothing passes unseen."""
    asked = [item for item in incoming if item.refusal is None]
    reasons = await content_filter.review([Prompt(item.call.tenant, item.call.messages) for item in asked])
    stopped = {id(item): reason for item, reason in zip(asked, reasons, strict=True) if reason is not None}
    return [_stopped(item, stopped[id(item)]) if id(item) in stopped else item for item in incoming]


def _stopped(item: Incoming, reason: str) -> Incoming:
    refusal = rejected("content_blocked", f"the content filter stopped the prompt: {reason[:200]}")
    return replace(item, refusal=refusal)
