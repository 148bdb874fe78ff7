"""How many requests wait, for /metrics: one query now and then, nothing an event."""

import asyncio

import structlog

from domain.errors import Transient
from domain.metrics import Metrics
from domain.ports import Queues

log = structlog.get_logger("wake")

EVERY_S = 10.0


async def watch_waiting(queues: Queues, metrics: Metrics, every_s: float = EVERY_S) -> None:
    """Set the gauge of each reason until cancelled; a reason nobody waits for any more goes to 0."""
    seen: set[str] = set()
    while True:
        try:
            counts = await queues.waiting()
        except Transient as error:
            log.warning("waiting_not_counted", reason=str(error))
        else:
            for reason in seen | counts.keys():
                metrics.gauge("waiting", counts.get(reason, 0), reason=reason)
            seen |= counts.keys()
        await asyncio.sleep(every_s)
