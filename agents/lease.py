"""This worker's lease (rule L6): one row an incarnation, renewed every 3 s, ending after 10 s of the database's clock.

The worker itself is stricter: what counts is when a renewal was sent, by its own monotonic clock, and 7 s later it
starts no call. So it stops before anybody else may take its requests over.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from domain.errors import Unavailable
from domain.metrics import Metrics
from domain.ports import Ledger

log = structlog.get_logger("lease")

EVERY = 3.0
TRUSTED = 7.0


class LeaseKeeper:
    """Keeps the lease of `incarnation` alive; `fresh` says whether calls may start.

    `term` counts how often the lease may have ended before it was renewed: what was taken in an earlier term may be
    in other hands by now, however fresh the lease is again. `failed_at` is when a renewal last failed, by `clock`: the
    database is away.
    """

    def __init__(
        self,
        ledger: Ledger,
        incarnation: str,
        stage: str,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.incarnation = incarnation
        self._ledger = ledger
        self._stage = stage
        self._metrics = metrics
        self._clock = clock
        self.term = 0
        self.given_back = False
        self.failed_at = float("-inf")
        self._sent_at = float("-inf")
        self._renewed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def fresh(self) -> bool:
        return self._clock() - self._sent_at < TRUSTED

    async def ready(self) -> None:
        """Returns when calls may start: at once, or after the next renewal."""
        while not self.fresh:
            self._renewed.clear()
            await self._renewed.wait()

    async def start(self) -> None:
        """Register and keep renewing. Raises Unavailable when the database does not answer now."""
        await self._send(lambda: self._ledger.register(self.incarnation, self._stage))
        log.info("lease_started", incarnation=self.incarnation)
        self._task = asyncio.ensure_future(self._keep())

    async def stop(self) -> None:
        """Give the lease back for good: whatever is still held may be taken over at once. It may be repeated."""
        self.given_back = True
        self._sent_at = float("-inf")
        if self._task is not None:
            self._task.cancel()
        try:
            await self._ledger.release()
        except Unavailable as error:
            log.warning("lease_not_released", reason=str(error))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._send(self._ledger.renew)
                self._metrics.count("lease_renewals", outcome="renewed")
            except Unavailable as error:
                self.failed_at = self._clock()
                self._metrics.count("lease_renewals", outcome="failed")
                log.warning("lease_not_renewed", reason=str(error))

    async def _send(self, statement) -> None:  # type: ignore[no-untyped-def]
        sent_at = self._clock()
        await statement()
        if not self.fresh:
            self.term += 1
        self._sent_at = sent_at
        self._renewed.set()
