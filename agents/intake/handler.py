"""intake: read, claim, look into the cache, pass the limit, hand on. A whole batch at a time.

Everything that follows from a batch is durable before its deliveries are acknowledged; a batch that is repeated after
a crash finds its own claims (rule L2) and goes on where it stopped.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson

from agents.emit import (
    Emission,
    Emitter,
    Reason,
    buried_event,
    call_record,
    dead_letter,
    end_events,
    event_record,
)
from agents.intake.admitting import charges_of, park_of, refused
from agents.intake.filtering import filtered
from agents.intake.reading import Incoming, Reader, read
from agents.line import Delivery
from agents.tenants import Tenants
from domain.admission.model import PASSES, Admission
from domain.caching.entry import read as read_entry
from domain.errors import Permanent
from domain.ledger.model import Claimed, Park, Settlement, Standing, State, Woken
from domain.ledger.results import Ending, Spent, cancelled, event_bytes, failed, finish, rejected
from domain.metrics import Metrics
from domain.ports import Cache, ContentFilter, Ledger, Limiter, Record, Reply
from topics.base import format_time, parse_time
from topics.codec import Read


@dataclass(frozen=True, slots=True)
class IntakePorts:
    """What intake works with. `cache` never fails: without its far tier it misses."""

    ledger: Ledger
    limiter: Limiter
    cache: Cache
    tenants: Tenants
    reader: Reader
    emitter: Emitter
    metrics: Metrics
    clock: Callable[[], datetime]
    draw: Callable[[], float] = random.random
    content_filter: ContentFilter | None = None


@dataclass(slots=True)
class Plan:
    """What a batch leads to."""

    now: datetime
    endings: list[tuple[Incoming, Claimed, Ending]] = field(default_factory=list)
    parks: list[tuple[Incoming, Park]] = field(default_factory=list)
    emissions: list[Emission] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)

    def hand_on(self, item: Incoming, claimed: Claimed) -> None:
        call = item.call
        woken = Woken(call.tenant, call.id, claimed.run, call.lane, item.claim.call, claimed.epoch)
        self.records.append(call_record(woken, format_time(self.now)))


Open = list[tuple[Incoming, Claimed]]


class Intake:
    """The handler of prompt.requests, in the micro-batch form."""

    def __init__(self, ports: IntakePorts) -> None:
        self._ports = ports

    async def handle_batch(self, batch: Sequence[Delivery]) -> None:
        plan = Plan(self._ports.clock())
        incoming = await self._read(batch, plan)
        claims, remembered = await asyncio.gather(self._claim(incoming), self._remembered(incoming))
        going_on: Open = []
        for item, claimed in zip(incoming, claims, strict=True):
            self._stand(item, claimed, plan, going_on)
        going_on = self._from_cache(going_on, remembered, plan)
        await self._limit(going_on, plan)
        await self._write(plan)
        for item in incoming:
            item.span.end()

    async def bury(self, delivery: Delivery, error: Exception) -> None:
        """A fault of ours: the request fails as `internal` where it can be read, and its dead letter is kept."""
        plan = Plan(self._ports.clock())
        code, what = "internal", f"a fault of the service: {type(error).__name__}"
        reason = Reason("intake", code, what)
        found = read(delivery)
        if isinstance(found, Read):
            await self._ports.tenants.load({found.request.tenant})
            await self._ports.reader.load([found])
        if isinstance(found, Read) and self._ports.tenants.exists(found.request.tenant):
            item = self._ports.reader.judge(delivery, found)
            if isinstance(item, Incoming):
                reason = replace(reason, tenant=item.call.tenant, id=item.call.id)
                claimed = (await self._ports.ledger.claim([item.claim]))[0]
                if isinstance(claimed, Claimed) and claimed.standing in (Standing.NEW, Standing.RESUMED):
                    reason = replace(reason, run=claimed.run)
                    plan.endings.append((item, claimed, failed(code, what)))
        plan.records.append(dead_letter(delivery, reason, plan.now))
        await self._write(plan)

    async def _read(self, batch: Sequence[Delivery], plan: Plan) -> list[Incoming]:
        found = [(delivery, read(delivery)) for delivery in batch]
        names = {r.request.tenant if isinstance(r, Read) else r.tenant for _, r in found if r is not None}
        await self._ports.tenants.load({name for name in names if name is not None})
        await self._ports.reader.load([what for _, what in found])
        incoming = []
        for delivery, what in found:
            if what is None:
                self._ports.metrics.count("tombstones", stage="intake")
                continue
            item = self._ports.reader.judge(delivery, what)
            if isinstance(item, Incoming):
                incoming.append(item)
            else:
                self._bury(item, plan)
        content_filter = self._ports.content_filter
        return incoming if content_filter is None else await filtered(incoming, content_filter)

    def _bury(self, letter: Record, plan: Plan) -> None:
        plan.records.append(letter)
        said = orjson.loads(letter.value or b"{}")
        self._ports.metrics.count("dead_letters", stage="intake", code=said["code"])
        if said["tenant"] is not None:
            plan.records.append(buried_event(said["tenant"], letter, said["code"], said["reason"], plan.now))

    def _stand(self, item: Incoming, claimed: Claimed | Permanent, plan: Plan, going_on: Open) -> None:
        """What a claim's standing means for its delivery."""
        if isinstance(claimed, Permanent):
            reason = Reason("intake", "internal", str(claimed), (), item.call.tenant, item.call.id)
            plan.records.append(dead_letter(item.delivery, reason, plan.now))
        elif claimed.standing in (Standing.NEW, Standing.RESUMED):
            self._go_on(item, claimed, plan, going_on)
        elif claimed.standing is Standing.CONFLICT:
            self._conflict(item, plan)
        elif claimed.result is not None:
            self._finished_before(item, claimed, claimed.result, plan)

    def _go_on(self, item: Incoming, claimed: Claimed, plan: Plan, going_on: Open) -> None:
        """Unless it ends here. What was cancelled since its claim is left to wake, which knows what was called."""
        if claimed.cancelled:
            if claimed.standing is Standing.NEW:
                plan.endings.append((item, claimed, cancelled(0)))
        elif item.refusal is not None:
            plan.endings.append((item, claimed, item.refusal))
        else:
            going_on.append((item, claimed))

    def _conflict(self, item: Incoming, plan: Plan) -> None:
        # run 0: the id's own result stays the only one of its runs
        reason = "this id was used for another request; choose a new id, or send the same body"
        _, result = finish(item.call, 0, rejected("id_conflict", reason), Spent(), plan.now)
        plan.emissions.append(Emission(item.call, 0, result, format_time(plan.now), settled=False))

    def _finished_before(self, item: Incoming, claimed: Claimed, result: bytes, plan: Plan) -> None:
        if claimed.standing is Standing.EMIT or claimed.state is not State.COMPLETED:
            plan.emissions.append(Emission.stored(item.call, claimed.run, result, ()))
        elif item.call.reply_to:
            plan.replies.append(Reply(item.call.reply_to, item.call.tenant, item.call.id, result))

    async def _claim(self, incoming: Sequence[Incoming]) -> list[Claimed | Permanent]:
        return await self._ports.ledger.claim([item.claim for item in incoming]) if incoming else []

    async def _remembered(self, incoming: Sequence[Incoming]) -> dict[str, bytes]:
        """What was answered before, by key. Asked while the ids are claimed, for the repeats among them too."""
        keys = [key for item in incoming if item.use_cache and (key := item.call.cache_key)]
        if not keys:
            return {}
        answers = await self._ports.cache.get_many(keys)
        return {key: answer for key, answer in zip(keys, answers, strict=True) if answer is not None}

    def _from_cache(self, going_on: Open, remembered: Mapping[str, bytes], plan: Plan) -> Open:
        """Ends what was answered before; gives back the rest."""
        rest, now = [], plan.now.timestamp()
        outcomes = dict.fromkeys(("hit", "miss", "early"), 0)
        for item, claimed in going_on:
            value = remembered.get(item.call.cache_key or "") if item.use_cache else None
            entry = None if value is None else read_entry(value)
            verdict = "expired" if entry is None else entry.verdict(now, 1.0 - self._ports.draw())
            if entry is not None and verdict == "fresh":
                outcomes["hit"] += 1
                plan.endings.append((item, claimed, entry.ending("exact", now)))
                continue
            if item.use_cache and item.call.cache_key:
                outcomes["early" if verdict == "early" else "miss"] += 1
            rest.append((item, claimed))
        for outcome, count in outcomes.items():
            self._ports.metrics.count("cache_lookups", count, outcome=outcome)
        return rest

    async def _limit(self, going_on: Open, plan: Plan) -> None:
        """Hand on what may pass now; the rest waits for its admission time or is rejected, as the request says."""
        if not going_on:
            return
        charges = charges_of(going_on, self._ports.tenants, self._ports.reader.catalogue)
        admissions = await self._ports.limiter.admit(charges)
        for (item, claimed), admission in zip(going_on, admissions, strict=True):
            if admission is PASSES or admission.passes:
                plan.hand_on(item, claimed)
            else:
                self._hold_back(item, claimed, admission, plan)

    def _hold_back(self, item: Incoming, claimed: Claimed, admission: Admission, plan: Plan) -> None:
        call, ending = item.call, refused(item, admission)
        if admission.gate is None or admission.gate.rejects:  # to wait for one's turn in a lane is no news
            data = {"wait_s": round(admission.wait, 3), "rejected": ending is not None, "epoch": claimed.epoch}
            event = event_bytes("rate_limit.exceeded", call, claimed.run, plan.now, data)
            plan.records.append(event_record(call, event, format_time(plan.now)))
        if ending is not None:
            plan.endings.append((item, claimed, ending))
        else:
            plan.parks.append((item, park_of(item, claimed, admission, plan.now)))

    async def _write(self, plan: Plan) -> None:
        ledger = self._ports.ledger
        if plan.endings:
            await self._settle(plan)
        if plan.parks:
            for answer in await ledger.park([park for _, park in plan.parks]):
                if isinstance(answer, Permanent):
                    raise answer
        if plan.emissions or plan.records:
            await self._ports.emitter.emit(plan.emissions, plan.records)
        await self._ports.emitter.notify(plan.replies)

    async def _settle(self, plan: Plan) -> None:
        settlements = []
        for item, claimed, ending in plan.endings:
            ended, result = finish(item.call, claimed.run, ending, Spent(), plan.now)
            call, run, epoch = item.call, claimed.run, claimed.epoch
            settlements.append(Settlement(call.tenant, call.id, run, epoch, ended.state, result, "intake", ended.code))
        settled = await self._ports.ledger.settle(settlements)
        at = format_time(plan.now)
        for (item, claimed, _), settlement, answer in zip(plan.endings, settlements, settled, strict=True):
            if isinstance(answer, Permanent):
                raise answer
            if answer.won:
                seconds = (plan.now - parse_time(item.call.submitted_at)).total_seconds()
                self._ports.metrics.observe("request_seconds", seconds, lane=item.call.lane)
                events = end_events(item.call, claimed.run, settlement.error_code, at)
                plan.emissions.append(Emission(item.call, claimed.run, settlement.result, at, events=events))
                plan.emissions += map(Emission.finished, answer.followers)
