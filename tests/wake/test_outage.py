"""After an outage nobody is taken for dead before he could renew his lease, and a sweep that fails keeps nobody."""

import asyncio
import time

from agents.wake.loop import RENEWED_WITHIN
from connectors.memory.limiter import MemoryLimiter
from domain.admission.model import Flight
from domain.errors import ModelError, Unavailable
from tests.line.memory_line import MemoryLine, claimed, request, running


async def test_L15_after_an_outage_workers_have_time_to_renew_their_leases() -> None:
    line = MemoryLine()
    delivery = await claimed(line)
    work = await running(line, await line.infer(), delivery)
    line.pass_time(minutes=10)
    wake = line.wake()
    wake._away_at = time.monotonic()
    await wake.sweep()
    assert line.calls() == []
    wake._away_at -= RENEWED_WITHIN
    await wake.sweep()
    assert len(line.calls()) == 1
    work.cancel()


class Blind(MemoryLimiter):
    """Cannot tell who is in flight."""

    async def stale(self, older_s: float, limit: int) -> list[Flight]:
        raise Unavailable("list flights: no answer")


async def test_L10_what_is_due_is_brought_back_while_the_sweep_fails() -> None:
    later = ModelError("slow down", outcome="rate_limited", sent=True, retryable=True, retry_after=7.0, status=429)
    line = MemoryLine([later])
    line.limiter = Blind(line.seconds, line.flights)
    assert await line.answer(request()) is None
    line.pass_time(seconds=8)
    wake = line.wake()
    turning = asyncio.ensure_future(wake.run())
    async with asyncio.timeout(30):
        while not line.calls():
            await asyncio.sleep(0.01)
    wake.stop()
    await turning
