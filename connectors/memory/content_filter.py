"""The content filter that needs nobody: a list of patterns in this process."""

from collections.abc import Sequence

from domain.ports import Prompt
from domain.safety.blocklist import Blocklist


class BlocklistFilter:
    """Implements ContentFilter."""

    def __init__(self, blocklist: Blocklist) -> None:
        self._blocklist = blocklist

    async def review(self, prompts: Sequence[Prompt]) -> list[str | None]:
        return [self._blocklist.found(prompt.messages) for prompt in prompts]
