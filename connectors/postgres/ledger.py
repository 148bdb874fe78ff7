"""The ledger in PostgreSQL: one statement, one round trip and one commit a verb and batch (rules L1–L17).

Rows are sent and locked in the order of (tenant, id), whatever the order of the batch, so that no two batches can
deadlock; every statement may be repeated after a lost answer.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter

from connectors.postgres import cancelling, claiming, coalescing, finding, lanes, settling, sweeping
from connectors.postgres.halving import distinct, halving
from connectors.postgres.outcomes import outcomes
from connectors.postgres.pool import Pool, Statements, columns
from connectors.postgres.queries import statements
from connectors.postgres.reserving import alike, book, booking, nexts_to_pay, takes_to_pay, within_budgets
from connectors.postgres.settling import complete, done_columns
from domain.budgets.model import Over
from domain.errors import Conflict, Permanent, Transient
from domain.ledger.model import (
    Aside,
    Attempt,
    Cancel,
    Cancelling,
    Claim,
    Claimed,
    Finished,
    Grip,
    Next,
    Park,
    Release,
    RequestRecord,
    Settled,
    Settlement,
    Take,
    Taken,
    Woken,
)

_DISPATCH = statements("dispatch")
_WORKERS = statements("workers")
_EMITTED = statements("settle")["emitted"]
_NEXT_DUE = statements("sweep")["next_due"]

_by_key = attrgetter("tenant", "id", "run")
_IN_HAND = frozenset({Grip.TAKEN, Grip.EXHAUSTED, Grip.CANCELLED, Grip.OVER_BUDGET})


@dataclass(slots=True)
class Met:
    """What the statement of a take met: of some of its batch more is to be read, or asked, once it is committed."""

    answers: list[Taken]
    produce_again: list[int] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)


class PostgresLedger:
    """Implements domain.ports.Ledger. One for each process: it knows which requests this process has in hand."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._worker: int | None = None
        self._registered = ("", "")
        self._in_hand: dict[tuple[str, str], int] = {}

    async def claim(self, batch: Sequence[Claim]) -> list[Claimed | Permanent]:
        return await halving(batch, lambda part: claiming.claim(self._pool, part))

    async def take(self, batch: Sequence[Take]) -> list[Taken | Permanent]:
        """Raises Conflict before `register`, Transient when this worker's own lease has ended."""
        worker = self._me()
        answers = await distinct(batch, lambda part: self._take(worker, part))
        for take, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Taken) and answer.grip in _IN_HAND:
                self._in_hand[take.tenant, take.id] = answer.epoch
        return answers

    async def go_on(self, batch: Sequence[Next]) -> list[int | Over | Permanent]:
        return await distinct(batch, self._go_on)

    async def aside(self, batch: Sequence[Aside]) -> None:
        async with booking(self._pool, batch) as database:
            await complete(database, sorted(batch, key=_by_key))

    async def settle(self, batch: Sequence[Settlement]) -> list[Settled | Permanent]:
        answers = await distinct(batch, self._settle)
        self._let_go(batch)
        return answers

    async def park(self, batch: Sequence[Park]) -> list[bool | Permanent]:
        answers = await distinct(batch, self._park)
        self._let_go(batch)
        return answers

    async def cancel(self, batch: Sequence[Cancel]) -> list[Cancelling | Permanent]:
        return await distinct(batch, lambda part: cancelling.ask(self._pool, part))

    async def cancelled(self, limit: int) -> list[Woken]:
        return await cancelling.due(self._pool, limit)

    async def abandoned(self) -> list[tuple[str, str, int]]:
        return await cancelling.held_by(self._pool, self._me())

    async def wake(self, limit: int) -> list[Woken]:
        return await sweeping.wake(self._pool, limit)

    async def gates(self, limit: int, after: tuple[str, str] = ("", "")) -> list[tuple[str, str]]:
        return await lanes.gates(self._pool, limit, after)

    async def let_in(self, batch: Sequence[Release]) -> list[Woken]:
        return await lanes.let_in(self._pool, batch)

    async def stray(self, limit: int) -> list[Woken]:
        return await sweeping.stray(self._pool, limit)

    async def unemitted(self, limit: int) -> list[Finished]:
        return await sweeping.unemitted(self._pool, limit)

    async def overdue(self, limit: int) -> list[Woken]:
        return await sweeping.overdue(self._pool, limit)

    async def emitted(self, batch: Sequence[tuple[str, str, int]]) -> None:
        if batch:
            await self._pool.fetch(_EMITTED, *columns(sorted(set(batch)), 3))

    async def register(self, incarnation: str, stage: str) -> None:
        row = await self._pool.row(_WORKERS["register"], incarnation, stage)
        self._worker = None if row is None else row["worker"]
        self._registered = (incarnation, stage)

    async def renew(self) -> None:
        await self._pool.fetch(_WORKERS["renew"], self._me(), *self._registered)

    async def release(self) -> None:
        await self._pool.fetch(_WORKERS["release"], self._me())

    async def tried(self, batch: Sequence[tuple[str, str, int]]) -> list[tuple[Attempt, ...]]:
        return await finding.tried(self._pool, batch)

    async def find(self, tenant: str, id: str) -> RequestRecord | None:
        return await finding.find(self._pool, tenant, id)

    async def next_due(self) -> datetime | None:
        row = await self._pool.row(_NEXT_DUE)
        return None if row is None else row["not_before"]

    def _me(self) -> int:
        if self._worker is None:
            raise Conflict("this worker has no lease; call register first")
        return self._worker

    def _let_go(self, batch: Sequence[Settlement] | Sequence[Park]) -> None:
        for item in batch:
            self._in_hand.pop((item.tenant, item.id), None)

    async def _take(self, worker: int, batch: Sequence[Take]) -> list[Taken]:
        if all(take.reserve is None for take in batch):
            met = await self._statement(self._pool, worker, batch)
        else:
            met = await self._paid(worker, batch)
        await self._ends(batch, met.produce_again, met.answers)
        await self._follow(worker, batch, met.asked, met.answers)
        return met.answers

    async def _paid(self, worker: int, batch: Sequence[Take]) -> "Met":
        async def write(database: Statements, refused: Container[int]) -> Met:
            uncalled = [replace(take, calls=False) if n in refused else take for n, take in enumerate(batch)]
            return await self._statement(database, worker, uncalled)

        met, refused = await within_budgets(
            self._pool, write, lambda met: takes_to_pay(batch, met.answers), alike(batch)
        )
        for place, over in refused.items():
            if met.answers[place].grip is Grip.TAKEN:
                met.answers[place] = replace(met.answers[place], grip=Grip.OVER_BUDGET, over=over)
        return met

    async def _statement(self, database: Statements, worker: int, batch: Sequence[Take]) -> "Met":
        ordered = sorted(range(len(batch)), key=lambda place: _by_key(batch[place]))
        given = [
            (t.tenant, t.id, t.run, t.provider, t.model, t.calls, t.epoch, self._in_hand.get((t.tenant, t.id), 0),
             t.question)
            for t in (batch[place] for place in ordered)
        ]  # fmt: skip
        rules = min(take.rules for take in batch)
        met = Met([Taken(Grip.STALE)] * len(batch))
        for n, grip, epoch, attempt, repeats, retaken in await database.fetch(
            _DISPATCH["take"], worker, *columns(given, 9), rules
        ):
            place = ordered[n]
            if grip == "unleased":
                raise Transient("this worker's lease has ended: nothing was taken; renew it first")
            if grip == "asked":
                met.asked.append((place, epoch))
                continue
            one = Grip(grip)
            met.answers[place] = (
                Taken(one, epoch, attempt, None, (), repeats, retaken) if one in _IN_HAND else Taken(one)
            )
            if one is Grip.UNEMITTED:
                met.produce_again.append(place)
        return met

    async def _ends(self, batch: Sequence[Take], places: Sequence[int], answers: list[Taken]) -> None:
        """What was settled and perhaps not produced."""
        ends = await outcomes(self._pool, [_by_key(batch[place]) for place in places])
        for place, (result, usage) in zip(places, ends, strict=True):
            answers[place] = Taken(Grip.UNEMITTED, result=result, usage=usage)

    async def _follow(
        self, worker: int, batch: Sequence[Take], asked: Sequence[tuple[int, int]], answers: list[Taken]
    ) -> None:
        """Those whose question another request asked before; the ones that hold it now are taken after all."""
        mine = []
        met = await coalescing.follow(self._pool, [(batch[place], epoch) for place, epoch in asked])
        for (place, _), answer in zip(asked, met, strict=True):
            if answer is None:
                mine.append(place)
            else:
                answers[place] = answer
        if mine:
            taken = await self._take(worker, [replace(batch[place], question=None) for place in mine])
            for place, answer in zip(mine, taken, strict=True):
                answers[place] = answer

    async def _go_on(self, batch: Sequence[Next]) -> list[int | Over]:
        if all(item.reserve is None and not item.done.frees for item in batch):
            return await self._numbers(self._pool, batch)

        async def write(database: Statements, refused: Container[int]) -> list[int | Over]:
            places = [place for place in range(len(batch)) if place not in refused]
            going_on = [batch[place] for place in places]
            numbers = await self._numbers(database, going_on) if going_on else []
            await book(database, going_on)
            found = dict(zip(places, numbers, strict=True))
            return [found.get(place, 0) for place in range(len(batch))]

        answers, refused = await within_budgets(self._pool, write, lambda answers: nexts_to_pay(batch, answers))
        return [refused.get(place, answer) for place, answer in enumerate(answers)]

    async def _numbers(self, database: Statements, batch: Sequence[Next]) -> list[int | Over]:
        ordered = sorted(range(len(batch)), key=lambda place: _by_key(batch[place]))
        items = [batch[place] for place in ordered]
        given = [(n.tenant, n.id, n.run, n.epoch, n.provider, n.model, *done_columns(n.done)) for n in items]
        rows = await database.fetch(_DISPATCH["go_on"], *columns(given, 12))
        await complete(database, [items[row["n"]] for row in rows if row["elsewhere"]])
        answers: list[int | Over] = [0] * len(batch)
        for n, attempt, _ in rows:
            answers[ordered[n]] = attempt
        return answers

    async def _park(self, batch: Sequence[Park]) -> list[bool]:
        ordered = sorted(range(len(batch)), key=lambda place: _by_key(batch[place]))
        items = [batch[place] for place in ordered]
        given = [
            (p.tenant, p.id, p.run, p.epoch, p.not_before, p.reason, p.lane, p.gate, *done_columns(p.done))
            for p in items
        ]
        async with booking(self._pool, items) as database:
            rows = await database.fetch(_DISPATCH["park"], *columns(given, 14))
            await complete(database, [items[row["n"]] for row in rows if row["elsewhere"]])
        answers = [False] * len(batch)
        for n, parked, _ in rows:
            answers[ordered[n]] = parked
        return answers

    async def _settle(self, batch: Sequence[Settlement]) -> list[Settled]:
        async with booking(self._pool, batch) as database:
            answers = await settling.settle(database, batch)
        followed = [place for place, answer in enumerate(answers) if answer is None]
        if followed:
            ended = await coalescing.settle(self._pool, [batch[place] for place in followed])
            answers = [next(ended) if answer is None else answer for ended in [iter(ended)] for answer in answers]
        return [answer for answer in answers if answer is not None]
