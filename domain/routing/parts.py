"""What a prompt holds besides text, and who takes it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from domain.errors import InvalidRequest, Problem
from domain.routing.model import Deployment

PART_CHARACTERS = 4_000
"""What an image or a page counts for where a prompt is measured: about a thousand tokens."""


def kinds(messages: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The types of the content parts that are no text: image_url, file, or what a client made up."""
    found: set[str] = set()
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            found.update(str(part.get("type")) for part in content)
    return frozenset(found - {"text"}) if found else frozenset()


def takers(deployments: Sequence[Deployment], wanted: frozenset[str]) -> tuple[Deployment, ...]:
    """Those that take all of it; a model that the catalogue says nothing of has the last word itself."""
    return tuple(one for one in deployments if one.takes is None or wanted <= set(one.takes))


def nobody(model: str, deployments: Sequence[Deployment], wanted: frozenset[str]) -> InvalidRequest:
    """Why none of a model's deployments can be called."""
    taken = {kind for one in deployments for kind in one.takes or ()}
    lacking = ", ".join(sorted(wanted - taken) or sorted(wanted))
    reason = f"model {model[:100]!r} does not take content of type {lacking}; GET /v1/models says what each takes"
    return InvalidRequest("invalid_request", reason, [Problem("/messages", reason)])


def length(content: Any) -> int:
    """Characters of a message's content, with PART_CHARACTERS for each part that is no text."""
    if not isinstance(content, list):
        return len(str(content))
    return sum(len(part["text"]) if isinstance(part.get("text"), str) else PART_CHARACTERS for part in content)
