"""Answers to the same question in other words."""

from collections.abc import Sequence
from typing import Protocol

from domain.caching.semantic import Check, Embedded, Kept, Known, Place, Seen, Trust
from domain.routing.model import Deployment


class SimilarAnswers(Protocol):
    """Keeps one answer a place, until its time is over. Batches are ordered, and so are the answers."""

    async def peek(self, batch: Sequence[Place]) -> list[Seen]:
        """Whether there is anything to compare with: no text needs to be embedded where there is not."""
        ...

    async def compare(self, batch: Sequence[tuple[Place, Sequence[float]]]) -> list[Known | None]:
        """What is kept at each place, with the cosine of its wording and this one."""
        ...

    async def keep(self, batch: Sequence[Kept]) -> None: ...

    async def note(self, batch: Sequence[Check]) -> list[Trust]:
        """What is to be thought of each template after these checks (`Trust.after`)."""
        ...

    async def trust(self, tenant: str) -> list[Trust]:
        """Of each template and version of a tenant that was ever checked."""
        ...


class Embedder(Protocol):
    """Texts as vectors, all of one length. `deployment` is what its calls are billed as."""

    deployment: Deployment

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        """One call for all of them, and no retry. Raises ModelError."""
        ...

    async def close(self) -> None: ...
