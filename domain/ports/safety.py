"""What may not be asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a provider would be sent; `messages` are OpenAI's."""

    tenant: str
    messages: Sequence[dict[str, Any]]


class ContentFilter(Protocol):
    """Looks at prompts before anything is called. While it does not answer, intake waits: nothing passes unseen."""

    async def review(self, prompts: Sequence[Prompt]) -> list[str | None]:
        """Of each prompt why it is stopped, None where it may go. The reason is told to the client."""
        ...
