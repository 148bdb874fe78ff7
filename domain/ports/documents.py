"""Documents that requests refer to."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Opened:
    """A document whose head is known. size: bytes, None where the other side does not say.

    read: at most so many bytes, and whether that is all of it; once. Raises Transient.
    """

    content_type: str
    size: int | None
    read: Callable[[int], Awaitable[tuple[bytes, bool]]]


class Documents(Protocol):
    """Reads what an address names. Which addresses may be read was decided before."""

    def open(self, url: str) -> AbstractAsyncContextManager[Opened]:
        """Entering raises Transient (try later) and Permanent (it is not there, or must not be read)."""
        ...
