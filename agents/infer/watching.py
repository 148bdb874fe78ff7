"""Once a second: what this worker sees of providers is told to the fleet, and what the fleet knows is heard.

Without Redis each worker sees for itself, and lets one call go every five seconds by its own clock.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from agents.infer.routes import Routes, Seen
from domain.errors import Unavailable
from domain.metrics import Metrics
from domain.ports import HealthBoard, Producer, Record
from topics import headers as head
from topics import table
from topics.base import format_time
from topics.codec import encode
from topics.records import EVERYBODY

log = structlog.get_logger("infer")
EVERY_S = 1.0


class Watch:
    """Between the breakers of a worker and the fleet's board. `now` gives seconds since 1970."""

    def __init__(
        self,
        routes: Routes,
        board: HealthBoard,
        producer: Producer,
        metrics: Metrics,
        worker: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._routes = routes
        self._board = board
        self._producer = producer
        self._metrics = metrics
        self._worker = worker
        self._now = now

    async def run(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.turn(clock())
            except Exception:
                log.exception("fault", stage="infer", what="health")

    async def turn(self, now: float) -> None:
        """One look. `now` is the breakers' clock."""
        all_seen = list(self._routes.seen.values())
        for seen in all_seen:
            seen.breaker.look(now)
        try:
            await self._exchange(all_seen, now)
        except Unavailable as error:
            log.warning("health_not_shared", reason=str(error))
            for seen in all_seen:
                if seen.breaker.may_probe(now):
                    seen.breaker.let_one_go(now)
        for seen in all_seen:
            provider, model = seen.deployment.provider, seen.deployment.model
            self._metrics.gauge("provider_down", seen.breaker.opened is not None, provider=provider, model=model)

    async def _exchange(self, all_seen: list[Seen], now: float) -> None:
        await self._board.tell(self._worker, self._routes.reports(self._worker, self._now()))
        down = await self._board.down([seen.deployment.name for seen in all_seen])
        for seen in all_seen:
            await self._agree(seen, seen.deployment.name in down, now)
            if seen.breaker.may_probe(now) and await self._board.probe(seen.deployment.name):
                seen.breaker.let_one_go(now)

    async def _agree(self, seen: Seen, down: bool, now: float) -> None:
        """Between what this worker found since the last look and what the fleet knows: whoever changed it is right."""
        name, breaker = seen.deployment.name, seen.breaker
        mine = breaker.opened is not None
        if mine and not seen.told:
            if await self._board.take_down(name, self._now()):
                await self._event("provider.degraded", seen, self._now())
        elif not mine and seen.told:
            if await self._board.bring_up(name):
                await self._event("provider.recovered", seen, self._now())
        elif mine and down:
            await self._board.keep_down(name)
        elif mine:
            breaker.close()  # another worker got an answer
        elif down:
            breaker.open(now)  # another worker found it
        seen.told = breaker.opened is not None

    async def _event(self, type: str, seen: Seen, at: float) -> None:
        deployment = seen.deployment
        moment = datetime.fromtimestamp(at, UTC)
        event_id = hashlib.sha256(f"{type}/{deployment.name}/{at}".encode()).hexdigest()[:32]
        data = {
            "deployment": deployment.name, "provider": deployment.provider, "model": deployment.model,
            "failures": seen.breaker.failures, "answers": seen.breaker.answers,
        }  # fmt: skip
        event = {
            "event_id": event_id, "type": type, "tenant": EVERYBODY, "id": None, "run": None, "at": moment,
            "data": data,
        }  # fmt: skip
        last = {"last_failure": seen.trouble} if seen.trouble else {}
        log.warning(type.replace(".", "_"), deployment=deployment.name, failures=seen.breaker.failures, **last)
        headers = head.EVENT.headers(event_id, format_time(moment))
        await self._producer.send([Record(table.EVENTS, encode(event), deployment.name.encode(), headers)])
