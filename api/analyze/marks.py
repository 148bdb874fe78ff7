"""Remembers which jobs the broker has acknowledged (rule D1).

Nobody waits for a mark, so they are written every half second and not one statement a request. What is lost with the
process, or cannot be written, is produced again by the sweeper, and intake recognises it.
"""

import asyncio
import logging
from collections.abc import Iterable
from itertools import islice

from domain.errors import Transient
from domain.ports import Jobs

EVERY_S = 0.5
BATCH = 500
MOST = 50_000  # beyond that PostgreSQL has been away for long: the sweeper will see to the rest

log = logging.getLogger(__name__)


class Marks:
    """Keys (tenant, id) on their way into the ledger."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._keys: dict[tuple[str, str], None] = {}

    def add(self, keys: Iterable[tuple[str, str]]) -> None:
        if len(self._keys) < MOST:
            self._keys.update(dict.fromkeys(keys))

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Whether the broker has it and only the ledger does not know yet."""
        return key in self._keys

    async def write(self) -> None:
        """Write what was added so far. Raises Unavailable; what was not written is kept."""
        while self._keys:
            batch = list(islice(self._keys, BATCH))
            await self._jobs.produced(batch)
            for key in batch:
                self._keys.pop(key, None)

    async def keep_writing(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.write()
            except Transient as error:
                log.warning("published jobs cannot be marked at present: %s", error)
            except Exception:
                log.exception("marking published jobs failed")
