"""A line of workers over one ledger, in memory or in PostgreSQL, whose time a test can move."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg

from connectors.memory.budgets import MemoryBudgets
from connectors.memory.jobs import MemoryJobs
from connectors.memory.lanes import MemoryFlights
from connectors.memory.ledger import MemoryLedger
from connectors.memory.letters import MemoryLetters
from connectors.memory.store import MemoryStore
from connectors.postgres.budgets import PostgresBudgets
from connectors.postgres.jobs import PostgresJobs
from connectors.postgres.lanes import PostgresFlights
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.letters import PostgresLetters
from connectors.postgres.pool import connect
from domain.ledger.model import AttemptDone, Claim, Grip, Park, Settlement, Source, State, Take, Taken
from domain.ports import Budgets, Flights, Jobs, Ledger, Letters

HASH = b"\x01" + b"h" * 32
OTHER_HASH = b"\x01" + b"o" * 32
NEWER_HASH = b"\x02" + b"n" * 32

_TABLES = (
    "claims",
    "bodies",
    "results",
    "attempts",
    "waiting",
    "lookouts",
    "cancels",
    "workers",
    "jobs",
    "outbox",
    "dead_letters",
    "budgets",
    "budget_accounts",
    "budget_holds",
    "budget_entries",
    "budget_notices",
    "beside_usage",
    "questions",
)
_TIMES = {
    "claims": ("claimed_at", "updated_at", "settled_at", "deadline"),
    "bodies": ("claimed_at",),
    "waiting": ("not_before", "deadline"),
    "lookouts": ("look_at",),
    "cancels": ("asked_at", "look_at"),
    "workers": ("expires_at",),
    "patrol": ("seen",),
    "outbox": ("created_at",),
    "dead_letters": ("publish_at",),
    "budget_notices": ("look_at",),
    "beside_usage": ("look_at",),
    "questions": ("asked_at",),
}


@dataclass
class World:
    """`ledger()` is one more worker process on the same store; `later` lets time pass for all of them."""

    ledger: Callable[[], Ledger]
    jobs: Jobs
    now: Callable[[], datetime]
    later: Callable[[float], Awaitable[None]]
    letters: Letters
    budgets: Budgets
    flights: Flights
    database_url: str | None = None
    _workers: int = field(default=0)

    async def worker(self) -> Ledger:
        """A registered infer worker."""
        ledger = self.ledger()
        self._workers += 1
        await ledger.register(f"worker-{self._workers}-{secrets.token_hex(4)}", "infer")
        return ledger

    async def after(self, seconds: float, *alive: Ledger) -> None:
        """Time passes, the `alive` workers keep their leases."""
        await self.later(seconds)
        for ledger in alive:
            await ledger.renew()


@asynccontextmanager
async def in_memory() -> AsyncIterator[World]:
    store, clock = MemoryStore(), [datetime(2026, 1, 1, tzinfo=UTC)]

    def now() -> datetime:
        return clock[0]

    async def later(seconds: float) -> None:
        clock[0] += timedelta(seconds=seconds)

    jobs, letters, budgets = MemoryJobs(store, now), MemoryLetters(store, now), MemoryBudgets(store, now)
    yield World(lambda: MemoryLedger(store, now), jobs, now, later, letters, budgets, MemoryFlights(store))


@asynccontextmanager
async def in_postgres(database_url: str) -> AsyncIterator[World]:
    """The server's clock cannot be moved: time passes by moving everything that is stored into the past."""
    pool = await connect(database_url, 8)
    admin = await asyncpg.connect(database_url)
    for table in _TABLES:
        await admin.execute(f"DELETE FROM {table}")
    await admin.execute("UPDATE budget_version SET version = 0")

    async def later(seconds: float) -> None:
        for table, columns in _TIMES.items():
            moved = ", ".join(f"{column} = {column} - $1::interval" for column in columns)
            await admin.execute(f"UPDATE {table} SET {moved}", timedelta(seconds=seconds))

    try:
        jobs, letters, budgets = PostgresJobs(pool), PostgresLetters(pool), PostgresBudgets(pool)
        utc = lambda: datetime.now(UTC)  # noqa: E731
        yield World(
            lambda: PostgresLedger(pool), jobs, utc, later, letters, budgets, PostgresFlights(pool), database_url
        )
    finally:
        await admin.close()
        await pool.close()


def claim(id: str = "a", offset: int = 1, **more: Any) -> Claim:
    facts: dict[str, Any] = {
        "tenant": "acme",
        "id": id,
        "body_hash": HASH,
        "source": Source("prompt.requests", 3, offset),
        "call": f"call {id} {offset}".encode(errors="replace"),
        "lane": "standard",
        "submitted_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Claim(**{**facts, **more})


def take(id: str = "a", run: int = 1, **more: Any) -> Take:
    return Take("acme", id, run, "openai", "gpt", **more)


def done(attempt: int = 1, outcome: str = "ok") -> AttemptDone:
    return AttemptDone(attempt, outcome, Decimal("0.000012345"), 31, 8, f"usage {attempt} {outcome}".encode())


def settlement(id: str = "a", epoch: int = 1, **more: Any) -> Settlement:
    facts: dict[str, Any] = {
        "tenant": "acme",
        "id": id,
        "run": 1,
        "epoch": epoch,
        "state": State.COMPLETED,
        "result": f"result of {id}".encode(errors="replace"),
        "settled_by": "infer",
        "done": done(),
    }
    return Settlement(**{**facts, **more})


def park(id: str, epoch: int, not_before: datetime, **more: Any) -> Park:
    facts: dict[str, Any] = {"run": 1, "reason": "retry", "lane": "standard", **more}
    return Park(tenant="acme", id=id, epoch=epoch, not_before=not_before, **facts)


async def taken(ledger: Ledger, id: str = "a", run: int = 1, **more: Any) -> Taken:
    """What one Take met."""
    answer = (await ledger.take([take(id, run, **more)]))[0]
    assert isinstance(answer, Taken)
    return answer


async def in_hand(world: World, id: str = "a", **more: Any) -> tuple[Ledger, Taken]:
    """A worker that has just taken a new request."""
    worker = await world.worker()
    await worker.claim([claim(id, **more)])
    answer = await taken(worker, id)
    assert answer.grip is Grip.TAKEN
    return worker, answer
