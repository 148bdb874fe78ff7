"""A source whose results go to a topic of their own: that one must be there as well."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from domain.errors import Transient
from domain.ports import BatchSource, Item
from domain.sinks.model import Place

EVERY_S = 10.0
"""Between two questions to the broker: whoever tells of trouble looks more often."""


class Answering:
    """Implements domain.ports.BatchSource, by another one. It tells of trouble with `output` too, which does not keep
    it from reading: events become requests and are answered, the answers wait on prompt.results.

    objection:  why nothing can be written to a topic, with the remedy. Raises Transient
    clock:      in seconds
    """

    def __init__(
        self,
        reading: BatchSource,
        output: str,
        objection: Callable[[str], Awaitable[str | None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reading = reading
        self._output = output
        self._objection = objection
        self._clock = clock
        self._due = float("-inf")
        self._reason: str | None = None

    def batches(self) -> AsyncIterator[Sequence[Item]]:
        return self._reading.batches()

    async def commit(self, batch: Sequence[Item]) -> None:
        await self._reading.commit(batch)

    def stop(self) -> None:
        self._reading.stop()

    async def close(self) -> None:
        await self._reading.close()

    async def lag(self) -> dict[Place, int]:
        return await self._reading.lag()

    async def unread(self) -> dict[Place, int]:
        return await self._reading.unread()

    async def rewind(self, starts: Mapping[Place, datetime | int]) -> frozenset[Place]:
        return await self._reading.rewind(starts)

    async def trouble(self) -> str | None:
        found = await self._reading.trouble()
        if self._clock() >= self._due:
            self._due = self._clock() + EVERY_S
            with suppress(Transient):  # a broker that is away is told of by those who read and write
                self._reason = await self._objection(self._output)
        if found is not None or self._reason is None:
            return found
        return (
            f"its results wait, on prompt.results, for its `output`: {self._reason}, or give the source another; its "
            "events are answered all the same"
        )
