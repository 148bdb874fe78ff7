"""What a worker process talks to: the in-memory twins, each call an operation that the world lets happen."""

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from connectors.memory.budgets import MemoryBudgets
from connectors.memory.cache import MemoryCache
from connectors.memory.ledger import MemoryLedger
from connectors.memory.limiter import MemoryLimiter
from domain.admission.model import Admission, Charge, Departure, Flight, Gate, Look
from domain.budgets.model import Bill, Budget, Notice, Over, Rules, Standing
from domain.errors import Permanent
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
from domain.ports import Record
from tests.simulation.clock import ProcessLoop
from tests.simulation.world import World, at_once

IN_HAND = frozenset({Grip.TAKEN, Grip.EXHAUSTED, Grip.CANCELLED, Grip.OVER_BUDGET})
T = TypeVar("T")


class Statements:
    """Implements Ledger: every verb of `inner` as a statement under way.

    What this worker has in hand is known only from answers that arrived, as it is with PostgreSQL: a statement is
    sent with what was in hand then.
    """

    def __init__(self, world: World, loop: ProcessLoop, inner: MemoryLedger) -> None:
        self._world, self._loop, self._inner = world, loop, inner
        self._in_hand: dict[tuple[str, str], int] = {}

    async def _ask(self, verb: str, *arguments: Any) -> Any:
        inner, sent_with = self._inner, dict(self._in_hand)

        def effect() -> Any:
            inner._in_hand = dict(sent_with)
            answer = at_once(getattr(inner, verb)(*arguments))
            self._world.look()
            return answer

        return await self._world.operate("ledger", verb, self._loop, effect).future

    async def _look(self, verb: str, *arguments: Any) -> Any:
        if self._world.notices(verb, self._loop):
            return await self._ask(verb, *arguments)
        return await getattr(self._inner, verb)(*arguments)

    async def claim(self, batch: Sequence[Claim]) -> list[Claimed | Permanent]:
        answer: list[Claimed | Permanent] = await self._ask("claim", batch)
        return answer

    async def take(self, batch: Sequence[Take]) -> list[Taken | Permanent]:
        answers: list[Taken | Permanent] = await self._ask("take", batch)
        for take, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Taken) and answer.grip in IN_HAND:
                self._in_hand[take.tenant, take.id] = answer.epoch
        return answers

    async def go_on(self, batch: Sequence[Next]) -> list[int | Over | Permanent]:
        answer: list[int | Over | Permanent] = await self._ask("go_on", batch)
        return answer

    async def aside(self, batch: Sequence[Aside]) -> None:
        await self._ask("aside", batch)

    async def settle(self, batch: Sequence[Settlement]) -> list[Settled | Permanent]:
        answers: list[Settled | Permanent] = await self._ask("settle", batch)
        self._let_go(batch)
        return answers

    async def park(self, batch: Sequence[Park]) -> list[bool | Permanent]:
        answers: list[bool | Permanent] = await self._ask("park", batch)
        self._let_go(batch)
        return answers

    async def wake(self, limit: int) -> list[Woken]:
        due = at_once(self._inner.next_due())
        verb = self._look if due is None or due > self._world.clock.utc() else self._ask
        answer: list[Woken] = await verb("wake", limit)
        return answer

    async def gates(self, limit: int, after: tuple[str, str] = ("", "")) -> list[tuple[str, str]]:
        answer: list[tuple[str, str]] = await self._look("gates", limit, after)
        return answer

    async def let_in(self, batch: Sequence[Release]) -> list[Woken]:
        answer: list[Woken] = await self._ask("let_in", batch)
        return answer

    async def stray(self, limit: int) -> list[Woken]:
        answer: list[Woken] = await self._look("stray", limit)
        return answer

    async def unemitted(self, limit: int) -> list[Finished]:
        answer: list[Finished] = await self._look("unemitted", limit)
        return answer

    async def cancel(self, batch: Sequence[Cancel]) -> list[Cancelling | Permanent]:
        answer: list[Cancelling | Permanent] = await self._ask("cancel", batch)
        return answer

    async def cancelled(self, limit: int) -> list[Woken]:
        answer: list[Woken] = await self._look("cancelled", limit)
        return answer

    async def abandoned(self) -> list[tuple[str, str, int]]:
        if self._world.notices("abandoned", self._loop):
            answer: list[tuple[str, str, int]] = await self._ask("abandoned")
            return answer
        return await self._inner.abandoned()

    async def overdue(self, limit: int) -> list[Woken]:
        answer: list[Woken] = await self._look("overdue", limit)
        return answer

    async def emitted(self, batch: Sequence[tuple[str, str, int]]) -> None:
        await self._ask("emitted", batch)

    async def register(self, incarnation: str, stage: str) -> None:
        await self._ask("register", incarnation, stage)

    async def renew(self) -> None:
        if self._world.notices("renew", self._loop):
            await self._ask("renew")
        else:
            await self._inner.renew()

    async def release(self) -> None:
        await self._ask("release")

    async def tried(self, batch: Sequence[tuple[str, str, int]]) -> list[tuple[Attempt, ...]]:
        answer: list[tuple[Attempt, ...]] = await self._ask("tried", batch)
        return answer

    async def find(self, tenant: str, id: str) -> RequestRecord | None:
        answer: RequestRecord | None = await self._ask("find", tenant, id)
        return answer

    async def next_due(self) -> datetime | None:
        return await self._inner.next_due()  # only a gauge is set from it

    def _let_go(self, batch: Sequence[Settlement] | Sequence[Park]) -> None:
        for item in batch:
            self._in_hand.pop((item.tenant, item.id), None)


class Books:
    """Implements what infer and the bookkeeper need of Budgets: statements of the same database."""

    def __init__(self, world: World, loop: ProcessLoop, inner: MemoryBudgets) -> None:
        self._world, self._loop, self._inner = world, loop, inner

    async def _ask(self, verb: str, *arguments: Any) -> Any:
        effect = lambda: at_once(getattr(self._inner, verb)(*arguments))  # noqa: E731
        return await self._world.operate("ledger", verb, self._loop, effect).future

    async def rules(self) -> Rules:
        found: Rules = await self._ask("rules")
        return found

    async def fold(self, limit: int) -> int:
        if not self._inner._store.entries:
            return 0
        booked: int = await self._ask("fold", limit)
        return booked

    async def notices(self, limit: int) -> list[Notice]:
        if all(one.told for one in self._inner._store.notices.values()):
            return []
        found: list[Notice] = await self._ask("notices", limit)
        return found

    async def told(self, notices: Sequence[Notice]) -> None:
        await self._ask("told", notices)

    async def unproduced(self, limit: int) -> list[Bill]:
        if not self._inner._store.bills:
            return []
        found: list[Bill] = await self._ask("unproduced", limit)
        return found

    async def produced(self, batch: Sequence[Bill]) -> None:
        await self._ask("produced", batch)

    async def put(self, budget: Budget) -> bool:
        return await self._inner.put(budget)

    async def delete(self, tenant: str, name: str) -> bool:
        return await self._inner.delete(tenant, name)

    async def standings(self, tenant: str) -> list[Standing]:
        return await self._inner.standings(tenant)


class Produces:
    """Implements Producer; `append` makes one record durable."""

    def __init__(self, world: World, loop: ProcessLoop, append: Callable[[Record], None]) -> None:
        self._world, self._loop, self._append = world, loop, append

    async def send(self, records: Sequence[Record]) -> None:
        def effect() -> None:
            for record in records:
                self._append(record)

        def part() -> None:
            for record in records:
                if self._world.rng.random() < 0.5:
                    self._append(record)

        operation = self._world.operate("produce", f"produce {len(records)}", self._loop, effect)
        operation.part = part
        await operation.future


class Limits:
    """Implements Limiter."""

    def __init__(self, world: World, loop: ProcessLoop, inner: MemoryLimiter) -> None:
        self._world, self._loop, self._inner = world, loop, inner

    async def admit(self, batch: Sequence[Charge]) -> list[Admission]:
        return await self._do("admit", lambda: self._inner.admit(batch))

    async def peek(self, charge: Charge) -> Look:
        return await self._inner.peek(charge)

    async def leave(self, batch: Sequence[Departure]) -> None:
        await self._do("leave", lambda: self._inner.leave(batch))

    async def free(self, gates: Sequence[Gate]) -> list[int | None]:
        if gates or self._world.notices("free", self._loop):
            return await self._do("free", lambda: self._inner.free(gates))
        return []

    async def stale(self, older_s: float, limit: int) -> list[Flight]:
        if self._world.notices("stale", self._loop):
            return await self._do("stale", lambda: self._inner.stale(older_s, limit))
        return await self._inner.stale(older_s, limit)

    async def _do(self, what: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        found: T = await self._world.operate("limiter", what, self._loop, lambda: at_once(work())).future
        return found


class Answers:
    """Implements Cache."""

    def __init__(self, world: World, loop: ProcessLoop, inner: MemoryCache) -> None:
        self._world, self._loop, self._inner = world, loop, inner

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        effect = lambda: at_once(self._inner.get_many(keys))  # noqa: E731
        found: list[bytes | None] = await self._world.operate("cache", "cache get", self._loop, effect).future
        return found

    async def put_many(self, entries: Sequence[tuple[str, bytes]], ttl: timedelta) -> None:
        effect = lambda: at_once(self._inner.put_many(entries, ttl))  # noqa: E731
        await self._world.operate("cache", "cache put", self._loop, effect).future


class NoMetrics:
    """Implements Metrics: what is counted is not what is proved here."""

    def count(self, name: str, n: float = 1, /, **labels: str) -> None: ...

    def observe(self, name: str, value: float, /, **labels: str) -> None: ...

    def gauge(self, name: str, value: float, /, **labels: str) -> None: ...
