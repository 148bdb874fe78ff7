"""Texts as vectors without a model: the same text is the same vector, texts with common words are near."""

import math
import zlib
from collections.abc import Sequence
from decimal import Decimal

from domain.caching.semantic import Embedded
from domain.errors import ModelError
from domain.routing.model import Deployment, Price

DIMENSIONS = 64
PRICE = Price("memory-1", Decimal("0.02"), Decimal(0))


class MemoryEmbedder:
    """Implements domain.ports.Embedder. `calls` are the batches; `trouble` is raised while it is set."""

    def __init__(self) -> None:
        self.deployment = Deployment("memory/embedding", "memory", "embedding", "openai", "", PRICE)
        self.calls: list[list[str]] = []
        self.trouble: ModelError | None = None

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        self.calls.append(list(texts))
        if self.trouble is not None:
            raise self.trouble
        return [Embedded(_vector(text), (len(text) + 3) // 4) for text in texts]

    async def close(self) -> None:
        """It holds nothing."""


def _vector(text: str) -> list[float]:
    vector = [0.0] * DIMENSIONS
    for word in text.lower().split():
        vector[zlib.crc32(word.encode("utf-8", "surrogatepass")) % DIMENSIONS] += 1.0
    length = math.hypot(*vector)
    return [one / length for one in vector] if length else [1.0, *vector[1:]]
