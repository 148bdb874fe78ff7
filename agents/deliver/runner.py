"""The sink runner. Offsets are committed only when every row is durable at the destination or as a dead letter.

A row may be written twice (a crash between write and commit); sinks make that harmless.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import orjson
import structlog

from agents.deliver.bisecting import Bisecting
from agents.deliver.condition import Condition
from agents.deliver.hands import Hands
from agents.deliver.policy import Policy
from agents.emit import Reason, dead_letter
from agents.line import Delivery
from domain.errors import Transient
from domain.metrics import Metrics
from domain.ports import BatchSource, Item, Producer, Record, Refused, Sink
from domain.sinks.model import OPENING
from topics.table import DEAD_LETTERS, TABLE

log = structlog.get_logger("deliver")
Answer = TypeVar("Answer")
CODE = "refused_by_sink"
SIDE_BYTES = 64 * 1024
"""Larger keys and headers are left out of a dead letter, so that it always fits on its topic."""
OURS = frozenset(topic.name for topic in TABLE)


class Stopped(Exception):
    """The stop came while a dependency was away: the batch stays uncommitted and comes again."""


async def deliver(
    source: BatchSource, sink: Sink, producer: Producer, policy: Policy, metrics: Metrics, health: Condition
) -> None:
    """Run until `health.stop()`, then close source and sink. Ends early only on a fault of ours."""
    health.when_stopping(source.stop)
    courier = _Courier(Bisecting(sink), producer, policy, metrics, health)
    hands = Hands(policy.at_once, source.stop)
    try:
        await courier.until_done(sink.open, OPENING)
        async for batch in source.batches():
            if not await health.may_go():
                break
            await hands.begin(partial(courier.bring, source, batch))
            del batch  # or it stays in memory while the next one is read
        await hands.end()
    except Stopped:
        log.info("stopped_while_waiting", sink=policy.name)
    finally:
        await hands.drop()
        await source.close()
        await sink.close()


class _Courier:
    """Brings batches to their end."""

    def __init__(self, sink: Sink, producer: Producer, policy: Policy, metrics: Metrics, health: Condition) -> None:
        self._sink = sink
        self._producer = producer
        self._policy = policy
        self._metrics = metrics
        self._health = health
        self._brought = 0

    async def bring(self, source: BatchSource, batch: Sequence[Item], before: Awaitable[None] | None) -> None:
        """Written, and then committed once the batch before it is. Raises Stopped."""
        place, tally = self._brought % self._policy.at_once, self._health.tally
        self._brought += 1
        tally.in_hand.append(min([item.timestamp for item in batch]))
        await self._carry(batch, place * self._policy.ways)
        if before is not None:
            await before
        await self.until_done(lambda: source.commit(batch), "commit")
        tally.in_hand.popleft()

    async def _carry(self, batch: Sequence[Item], first: int) -> None:
        """Returns when each item is durable at the destination or on prompt.dead-letters. Raises Stopped.

        first: the number of its first write, of all that are under way.
        """
        name, tally = self._policy.name, self._health.tally
        self._metrics.count("events_in", len(batch), stage=name)
        began = time.monotonic()
        writes = [self._write(part, number) for number, part in enumerate(self._policy.parts(batch), first)]
        refused: list[Refused] = []
        # each is waited for: none may go on behind the back of the next batch
        for answer in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer
            refused += answer
        if refused:
            letters = [self._letter(one) for one in refused]
            await self.until_done(lambda: self._producer.send(letters), "bury")
            log.warning("rows_refused", sink=name, rows=len(refused))
        tally.rows += len(batch) - len(refused)
        tally.refused += len(refused)
        self._measure(batch, refused, time.monotonic() - began)

    async def _write(self, part: Sequence[Item], number: int) -> list[Refused]:
        return await self.until_done(lambda: self._sink.write(part), f"write {number}" if number else "write")

    async def until_done(self, call: Callable[[], Awaitable[Answer]], verb: str) -> Answer:
        """The answer of `call`, however long that takes. Raises Stopped."""
        failures = 0
        while True:
            try:
                answer = await call()
            except Transient as error:
                failures += 1
                await self._wait(error, failures, verb)
            else:
                self._health.well(verb)
                return answer

    async def _wait(self, error: Transient, failures: int, verb: str) -> None:
        name = self._policy.name
        wait = self._policy.wait(failures, error.retry_after, random.random())  # noqa: S311 - jitter, not a secret
        self._health.troubled(verb, f"{verb}: {error}")
        self._health.tally.errors += 1
        self._metrics.count("sink_errors", sink=name)
        log.warning("sink_waits", sink=name, verb=verb, failures=failures, wait_s=round(wait, 3), reason=str(error))
        await self._health.pause(wait)
        if self._health.stopping:
            raise Stopped from error

    def _letter(self, refused: Refused) -> Record:
        item = refused.item
        delivery = Delivery(
            tp=(item.topic, item.partition),
            topic=item.topic,
            partition=item.partition,
            offset=item.offset,
            generation=0,
            key=item.key if len(item.key or b"") <= SIDE_BYTES else None,
            value=item.value,
            headers=item.headers if sum(len(text or b"") for _, text in item.headers) <= SIDE_BYTES else (),
            timestamp=item.timestamp.timestamp(),
        )
        tenant, id, run = _identity(item)
        reason = Reason(f"deliver.{self._policy.name}", CODE, refused.reason, tenant=tenant, id=id, run=run)
        return dead_letter(delivery, reason, self._health.now())

    def _measure(self, batch: Sequence[Item], refused: Sequence[Refused], seconds: float) -> None:
        name, metrics = self._policy.name, self._metrics
        lost = Counter(one.item.topic for one in refused)
        for topic, count in Counter([item.topic for item in batch]).items():
            metrics.count("sink_rows", count - lost[topic], sink=name, topic=topic)
        for topic, count in lost.items():
            metrics.count("sink_refused", count, sink=name, topic=topic)
        if refused:
            metrics.count("dead_letters", len(refused), stage=name, code=CODE)
            metrics.count("events_out", len(refused), stage=name, topic=DEAD_LETTERS)
        metrics.observe("batch_size", len(batch), stage=name, verb="write")
        metrics.observe("batch_seconds", seconds, stage=name, verb="write")
        newest = max([item.timestamp for item in batch])
        metrics.gauge("sink_age_seconds", (self._health.now() - newest).total_seconds(), sink=name)


def _identity(item: Item) -> tuple[str | None, str | None, int | None]:
    """(tenant, id, run) as far as a refused record of ours says them. On a topic of others they may mean anything, and
    who is taken for its tenant may read it.
    """
    if item.topic not in OURS:
        return None, None, None
    try:
        fields = orjson.loads(item.value)
    except orjson.JSONDecodeError:
        return None, None, None
    if not isinstance(fields, dict):
        return None, None, None
    tenant, id, run = fields.get("tenant"), fields.get("id"), fields.get("run")
    return (
        tenant if isinstance(tenant, str) and len(tenant) <= 64 else None,
        id if isinstance(id, str) and len(id) <= 255 else None,
        run if isinstance(run, int) and not isinstance(run, bool) else None,
    )
