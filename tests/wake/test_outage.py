"""After an outage nobody is taken for dead before he could renew his lease."""

import time

from agents.wake.loop import RENEWED_WITHIN
from tests.line.memory_line import MemoryLine, claimed, running


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
