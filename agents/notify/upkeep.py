"""What a process of destinations does now and then: tells of disabled endpoints, counts what waits, forgets the old."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta

import structlog

from domain.errors import Transient
from domain.metrics import Metrics
from domain.ports import Deliveries, Endpoints, Producer, Record
from domain.webhooks.model import Endpoint
from topics import headers as head
from topics.base import format_time
from topics.codec import encode
from topics.table import EVENTS

log = structlog.get_logger("notify")

TELL_EVERY_S = 2.0
SWEEP_EVERY = timedelta(hours=1)
Sweep = Callable[[date], Awaitable[None]]


async def keep_house(
    endpoints: Endpoints,
    deliveries: Deliveries,
    producer: Producer,
    metrics: Metrics,
    now: Callable[[], datetime],
    sweep: Sweep,
) -> None:
    """Until cancelled. `sweep` is given the present day."""
    swept: datetime | None = None
    while True:
        try:
            await tell_of_disabled(endpoints, producer, metrics, now())
            await measure(deliveries, metrics, now())
            if swept is None or now() - swept >= SWEEP_EVERY:
                await sweep(now().date())
                swept = now()
        except Transient as error:
            log.warning("notify_waits", what="upkeep", reason=str(error))
        except Exception:
            log.exception("fault", stage="notify", what="upkeep")
        await asyncio.sleep(TELL_EVERY_S)


async def tell_of_disabled(endpoints: Endpoints, producer: Producer, metrics: Metrics, now: datetime) -> None:
    """`webhook.disabled` for each endpoint that we disabled, durable before it counts as told. Raises Transient."""
    untold = await endpoints.untold()
    if not untold:
        return
    await producer.send([_event(one, now) for one in untold])
    await endpoints.told(untold)
    metrics.count("webhooks_disabled", len(untold))


async def measure(deliveries: Deliveries, metrics: Metrics, now: datetime) -> None:
    """How much waits, and how late the latest is. Raises Transient."""
    backlog = await deliveries.backlog()
    late = 0.0 if backlog.due_since is None else max(0.0, (now - backlog.due_since).total_seconds())
    metrics.gauge("deliveries_waiting", backlog.waiting)
    metrics.gauge("delivery_overdue_seconds", late)


def _event(one: Endpoint, now: datetime) -> Record:
    since = format_time(one.failing_since) if one.failing_since is not None else None
    what = f"webhook.disabled/{one.tenant}/{one.id}/{one.disabled}/{since}"
    event_id = hashlib.sha256(what.encode()).hexdigest()[:32]
    event = {
        "event_id": event_id, "type": "webhook.disabled", "tenant": one.tenant, "id": None, "run": None, "at": now,
        "data": {"endpoint": one.id, "reason": one.disabled, "failing_since": since},
    }  # fmt: skip
    return Record(EVENTS, encode(event), one.tenant.encode(), head.EVENT.headers(event_id, format_time(now)))
