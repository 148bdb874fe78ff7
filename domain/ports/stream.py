"""The broker, and who waits for an answer."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.routing.model import Piece


@dataclass(slots=True)
class Record:
    """A record to produce; headers are (name, bytes)."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = field(default=())


class Producer(Protocol):
    """The broker's inlet, acks=all and idempotent."""

    async def send(self, records: Sequence[Record]) -> None:
        """Returns when every record is acknowledged; raises Unavailable when one may not be."""
        ...


class Changes(Protocol):
    """prompt.control: what every process must hear of, the newest of each subject at least."""

    async def so_far(self) -> list[bytes]:
        """Everything that was there when this was called; once, before `more`."""
        ...

    async def more(self) -> list[bytes]:
        """What was written since. Waits a quarter of a second at most."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished request for the API instance that waits for it."""

    instance: str
    tenant: str
    id: str
    result: bytes


class Replies(Protocol):
    """Wakes waiting API instances. A lost reply costs a look into the ledger, never an answer."""

    async def notify(self, replies: Sequence[Reply]) -> None: ...

    def listen(self, instance: str) -> AsyncIterator[Reply]: ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer that is still being written; `at` is its place: the sizes of the pieces before it."""

    instance: str
    tenant: str
    id: str
    at: int
    piece: Piece

    @property
    def size(self) -> int:
        """Characters; one more of a piece of a call, which may have none."""
        return len(self.piece) if isinstance(self.piece, str) else 1 + len(self.piece.arguments)


class Chunks(Protocol):
    """Answers on their way to API instances. A lost chunk costs the stream its pace: the result holds all of it."""

    async def send(self, batch: Sequence[Chunk]) -> list[None]: ...

    def listen(self, instance: str) -> AsyncIterator[Chunk]:
        """What was sent to the instance a moment ago is heard too."""
        ...
