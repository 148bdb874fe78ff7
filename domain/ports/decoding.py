"""What the bytes of an event say."""

from collections.abc import Sequence
from typing import Any, Protocol


class Decoder(Protocol):
    """Reads the values of one source. What comes out is as JSON would be: objects, lists, text, numbers."""

    async def load(self, values: Sequence[bytes]) -> None:
        """Fetch what decoding these needs. Raises Transient."""
        ...

    def decode(self, value: bytes) -> Any:
        """Of a value that was loaded. Raises domain.sources.mapping.Unmappable."""
        ...

    async def close(self) -> None: ...
