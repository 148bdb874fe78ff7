"""What a process of destinations does now and then: tells of disabled endpoints, counts what waits, forgets the old."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import structlog

from domain.errors import Transient
from domain.metrics import Metrics
from domain.ports import Deliveries, Endpoints, Producer, Record
from domain.webhooks.model import Endpoint
from domain.webhooks.rooms import Lane
from topics import headers as head
from topics.base import format_time
from topics.codec import encode
from topics.table import EVENTS

log = structlog.get_logger("notify")

TELL_EVERY_S = 2.0
SWEEP_EVERY = timedelta(hours=1)
TRIM_EVERY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class House:
    """What upkeep works with.

    `sweep` is given the present day; of one destination no more than `most` wait; `held` are those whose own receiver
    is what their deliveries wait for.
    """

    endpoints: Endpoints
    deliveries: Deliveries
    producer: Producer
    metrics: Metrics
    now: Callable[[], datetime]
    sweep: Callable[[date], Awaitable[None]]
    most: int
    held: Callable[[], Collection[Lane]]


async def keep_house(house: House) -> None:
    """Until cancelled."""
    swept = trimmed = datetime.min.replace(tzinfo=UTC)
    now, metrics = house.now, house.metrics
    while True:
        try:
            await tell_of_disabled(house.endpoints, house.producer, metrics, now())
            await measure(house.deliveries, metrics, now(), house.held())
            if now() - trimmed >= TRIM_EVERY:
                await trim(house.deliveries, metrics, house.most, now())
                trimmed = now()
            if now() - swept >= SWEEP_EVERY:
                await house.sweep(now().date())
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
    for one in untold:
        log.warning("webhook_disabled", tenant=one.tenant, endpoint=one.id, reason=one.disabled)


async def measure(deliveries: Deliveries, metrics: Metrics, now: datetime, held: Collection[Lane]) -> None:
    """How much waits, and how late the latest is whose receiver is not the reason. Raises Transient."""
    backlog = await deliveries.backlog(held)
    late = 0.0 if backlog.due_since is None else max(0.0, (now - backlog.due_since).total_seconds())
    metrics.gauge("deliveries_waiting", backlog.waiting)
    metrics.gauge("delivery_overdue_seconds", late)


async def trim(deliveries: Deliveries, metrics: Metrics, most: int, now: datetime) -> None:
    """Nobody's backlog grows without end. Raises Transient."""
    gone = await deliveries.trim(most, now)
    if gone:
        metrics.count("deliveries_given_up", gone)
        log.warning("deliveries_given_up", count=gone, most=most)


def _event(one: Endpoint, now: datetime) -> Record:
    since = format_time(one.failing_since) if one.failing_since is not None else None
    what = f"webhook.disabled/{one.tenant}/{one.id}/{one.disabled}/{since}"
    event_id = hashlib.sha256(what.encode()).hexdigest()[:32]
    event = {
        "event_id": event_id, "type": "webhook.disabled", "tenant": one.tenant, "id": None, "run": None, "at": now,
        "data": {"endpoint": one.id, "reason": one.disabled, "failing_since": since},
    }  # fmt: skip
    return Record(EVENTS, encode(event), one.tenant.encode(), head.EVENT.headers(event_id, format_time(now)))
