"""Token counts as providers give them, and a guess where one gives none."""

from typing import Any

from domain.routing.model import Tokens

CHARACTERS_A_TOKEN = 4
"""OpenAI's rule of thumb for English text; only used where the provider counted nothing."""


def count(usage: Any, name: str) -> int:
    """A count that is there and makes sense, else 0."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 40 else 0


def estimate(messages: list[dict[str, Any]], text: str) -> Tokens:
    """Marked as estimated; rounds up, a few tokens a message for its frame."""
    read = sum(len(str(message.get("content", ""))) // CHARACTERS_A_TOKEN + 4 for message in messages)
    return Tokens(read, -(-len(text) // CHARACTERS_A_TOKEN), estimated=True)
