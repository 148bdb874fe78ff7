"""The pace of calls to providers."""

from collections.abc import Sequence
from typing import Protocol

from domain.pacing.model import Ask, Grant


class Pacer(Protocol):
    """One learnt bucket a deployment for the whole fleet, on the store's clock (domain/pacing)."""

    async def pace(self, batch: Sequence[Ask]) -> list[Grant]:
        """Learn what was heard, then say which calls may go; each deployment at most once in a batch.

        Raises Unavailable: then nothing was granted. What was heard may be told again.
        """
        ...
