"""How late the event loop runs: what a blocking call or too much work shows in first."""

import asyncio

from domain.metrics import Metrics

EVERY_S = 1.0


async def watch_loop(metrics: Metrics, every_s: float = EVERY_S) -> None:
    """Measure the lateness of a timer, and count the loop's tasks, every `every_s` seconds until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every_s
        await asyncio.sleep(every_s)
        metrics.gauge("loop_lag_seconds", max(0.0, loop.time() - due))
        metrics.gauge("loop_tasks", len(asyncio.all_tasks(loop)))
