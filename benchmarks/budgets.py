"""What the lock on a budget costs: `DATABASE_URL=… python -m benchmarks.budgets [--runs 7] [--rounds 24]`.

Workers as processes of their own, each with one batch of 250 takes and one of settles under way, in a database of its
own, which is removed. The same rows without a budget, all charged to one, charged to one a tenant of 17, and to one a
worker: that one does the same work as the first and shares no lock, so that between the two lies what the lock costs.
The kinds take turns. The roll-up runs each second, as it does in wake.

At the end: for how long a batch holds its account, alone, which bounds what can pass one budget on any machine.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import asyncpg
import uvloop

from benchmarks.databases import own_database
from benchmarks.ledger import CALL, DONE, RESULT
from connectors.postgres.budgets import PostgresBudgets
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import Pool, Transaction, connect
from connectors.postgres.queries import statements
from domain.budgets.model import Budget, Reserve
from domain.ledger.model import Claim, Settled, Settlement, Source, State, Take, Taken

BATCH, TENANTS, CONNECTIONS = 250, 17, 4
NONE, SHARED, TENANT, OWN = "no budget", "one for all", "one a tenant of 17", "one a worker"
KINDS = (NONE, SHARED, TENANT, OWN)
BUSY_S = BATCH * 391e-6
"""What a batch costs infer itself, in CPU (docs/benchmarks.md)."""
TURNS = ((1, 0.0), (3, 0.0), (8, 0.0), (3, BUSY_S), (8, BUSY_S))
"""Workers, and the pause between the batches of each."""
SPAWN = multiprocessing.get_context("spawn")
_ACCOUNTS = statements("budgets")["accounts"]
_COST = Decimal("0.0024")


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker does: `rounds` batches, charged as `kind` says to the budgets with these serials.

    pause: seconds between two batches, in which a real worker does the rest of its work.
    """

    number: int
    kind: str
    rounds: int
    pause: float
    version: int
    serials: dict[str, int]

    def tenant(self, n: int) -> str:
        if self.kind in (SHARED, OWN):
            return "shared" if self.kind == SHARED else f"own-{self.number}"
        return f"{'tenant' if self.kind == TENANT else 'free'}-{n % TENANTS}"

    def keys(self, round: int) -> list[tuple[str, str]]:
        return [(self.tenant(n), f"order-{self.number}-{round * BATCH + n:09}") for n in range(BATCH)]

    def reserve(self, tenant: str) -> Reserve | None:
        return None if self.kind == NONE else Reserve(_COST, (self.serials[tenant],))


@dataclass(slots=True)
class Timed:
    """A transaction that holds accounts from the moment `locked`: seconds by the wall, and of CPU."""

    database: Transaction
    now: Callable[[], tuple[float, float]]
    locked: tuple[float, float] | None = None

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        rows = await self.database.fetch(statement, *arguments)
        if statement == _ACCOUNTS:
            self.locked = self.now()
        return rows


@dataclass(slots=True)
class Holding:
    """A pool of one connection that notes for how long its transactions hold accounts, by the wall and in CPU."""

    pool: Pool
    server: Path = Path()
    held: list[tuple[float, float]] = field(default_factory=list)

    async def look(self) -> None:
        """For the server process behind its connection; on this machine only."""
        row = await self.pool.row("SELECT pg_backend_pid() AS pid")
        self.server = Path(f"/proc/{row['pid'] if row else 'self'}/schedstat")

    def now(self) -> tuple[float, float]:
        """Seconds by the wall, and of CPU, the server's and ours."""
        return time.perf_counter(), time.process_time() + int(self.server.read_text().split()[0]) / 1e9

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pool, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Timed]:
        async with self.pool.transaction() as database:
            timed = Timed(database, self.now)
            yield timed
        if timed.locked:
            self.held.append(_since(timed.locked, self.now()))


async def claims(ledger: PostgresLedger, job: Job) -> None:
    for round in range(job.rounds):
        batch = [
            Claim(t, i, b"\x01" + b"h" * 32, Source("prompt.requests", job.number, n), CALL, "standard", _now())
            for n, (t, i) in enumerate(job.keys(round), round * BATCH)
        ]
        await ledger.claim(batch)


async def work(ledger: PostgresLedger, job: Job) -> None:
    """The next batch is taken while the one before is settled."""
    settling: asyncio.Task[None] | None = None
    for round in range(job.rounds):
        keys = job.keys(round)
        await asyncio.sleep(job.pause)
        taken = await ledger.take(takes_of(job, keys))
        if settling is not None:
            await settling
        settling = asyncio.create_task(
            settle(ledger, job, keys, [one.epoch for one in taken if isinstance(one, Taken)])
        )
    if settling is not None:
        await settling


def takes_of(job: Job, keys: Sequence[tuple[str, str]]) -> list[Take]:
    return [Take(t, i, 1, "openai", "gpt-4o-mini", reserve=job.reserve(t), rules=job.version, epoch=0) for t, i in keys]


async def settle(ledger: PostgresLedger, job: Job, keys: Sequence[tuple[str, str]], epochs: Sequence[int]) -> None:
    done = replace(DONE, frees=job.kind != NONE)
    ends = [
        Settlement(t, i, 1, epoch, State.COMPLETED, RESULT, "infer", None, done)
        for (t, i), epoch in zip(keys, epochs, strict=True)
    ]
    answers = await ledger.settle(ends)
    assert all(isinstance(answer, Settled) and answer.won for answer in answers)


def worker(url: str, number: int, jobs: Any, start: Barrier, ends: Any) -> None:
    uvloop.run(works(url, number, jobs, start, ends))


async def works(url: str, number: int, jobs: Any, start: Barrier, ends: Any) -> None:
    """Job after job, until there is None. All begin a job at once."""
    pool = await connect(url, CONNECTIONS, timeout=60)
    while (job := await asyncio.to_thread(jobs.get)) is not None:
        ledger = PostgresLedger(pool)
        await ledger.register(f"worker-{number}", "infer")
        await claims(ledger, job)
        await asyncio.to_thread(start.wait)
        await ledger.renew()
        began = time.time()
        await work(ledger, job)
        ends.put((began, time.time()))
    await pool.close()


async def rolled_up(url: str, until: "asyncio.Future[None]") -> None:
    pool = await connect(url, 1, timeout=60)
    budgets = PostgresBudgets(pool)
    while not until.done():
        await asyncio.wait([until], timeout=1)
        while await budgets.fold(5_000) == 5_000:
            pass
    await pool.close()


class Workers:
    """Processes that do the same job at the same time."""

    def __init__(self, url: str, count: int) -> None:
        self._url = url
        self._start, self._ends = SPAWN.Barrier(count + 1), SPAWN.Queue()
        self._jobs = [SPAWN.Queue() for _ in range(count)]
        self._processes = [
            SPAWN.Process(target=worker, args=(url, n, jobs, self._start, self._ends))
            for n, jobs in enumerate(self._jobs)
        ]
        for process in self._processes:
            process.start()

    async def do(self, jobs: Sequence[Job]) -> float:
        """Requests a second, taken and settled, by all of them at once."""
        for queue, job in zip(self._jobs, jobs, strict=True):
            queue.put(job)
        await asyncio.to_thread(self._start.wait)
        over = asyncio.get_running_loop().create_future()
        folding = asyncio.create_task(rolled_up(self._url, over))
        times = [await asyncio.to_thread(self._ends.get) for _ in jobs]
        over.set_result(None)
        await folding
        seconds: float = max(end for _, end in times) - min(began for began, _ in times)
        return sum(job.rounds for job in jobs) * BATCH / seconds

    async def end(self) -> None:
        for queue in self._jobs:
            queue.put(None)
        for process in self._processes:
            await asyncio.to_thread(process.join)


async def empty(url: str) -> None:
    admin = await asyncpg.connect(url)
    await admin.execute("TRUNCATE claims, bodies, attempts, results, lookouts, budget_holds, budget_entries")
    await admin.close()


async def budgets_made(url: str) -> tuple[int, dict[str, int]]:
    """The version, and the serial of each tenant's budget."""
    pool = await connect(url, 1)
    budgets = PostgresBudgets(pool)
    tenants = ["shared", *(f"tenant-{n}" for n in range(TENANTS)), *(f"own-{n}" for n in range(max(TURNS)[0]))]
    for tenant in tenants:
        await budgets.put(Budget(tenant, "all", Decimal(10**9), "month"))
    rules = await budgets.rules()
    await pool.close()
    return rules.version, {budget.tenant: budget.serial for budget in rules.budgets}


Spans = list[tuple[float, float]]
"""Milliseconds by the wall, and of CPU."""


async def alone(url: str, version: int, serials: dict[str, int], rounds: int) -> tuple[Spans, Spans]:
    """What each batch of takes took one worker, and the part of it in which it held its account."""
    pool = Holding(await connect(url, 1, timeout=60))
    await pool.look()
    ledger, job = PostgresLedger(pool), Job(0, SHARED, rounds, 0.0, version, serials)  # type: ignore[arg-type]
    await ledger.register("alone", "infer")
    await claims(ledger, job)
    took = []
    for round in range(job.rounds):
        await ledger.renew()
        began = pool.now()
        await ledger.take(takes_of(job, job.keys(round)))
        took.append(_since(began, pool.now()))
    await pool.close()
    return took, pool.held


def _since(began: tuple[float, float], now: tuple[float, float]) -> tuple[float, float]:
    return 1_000 * (now[0] - began[0]), 1_000 * (now[1] - began[1])


async def compared(url: str, runs: int, jobs: Sequence[tuple[Any, ...]]) -> dict[str, list[float]]:
    """Of each kind the rates of its runs, in the order of the turns."""
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    workers = Workers(url, len(jobs))
    for run in range(runs):
        for kind in KINDS if run % 2 else KINDS[::-1]:
            await empty(url)
            rates[kind].append(await workers.do([Job(number, kind, *rest) for number, *rest in jobs]))
    await workers.end()
    return rates


def shown(values: Sequence[float], form: str = ",.0f") -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


async def main(url: str, runs: int, rounds: int) -> None:
    version, serials = await budgets_made(url)
    print("| workers | " + " | ".join(KINDS) + " | one for all ÷ one a worker |\n|" + " --- |" * (len(KINDS) + 2))
    for count, pause in TURNS:
        rates = await compared(url, runs, [(n, max(3, rounds // count), pause, version, serials) for n in range(count)])
        ratios = [shared / own for shared, own in zip(rates[SHARED], rates[OWN], strict=True)]
        cells = [
            f"{count}, busy" if pause else str(count),
            *(shown(rates[kind]) for kind in KINDS),
            shown(ratios, ".2f"),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
    await empty(url)
    took, held = await alone(url, version, serials, 2 * rounds)
    for what, spans in (("in all", took), ("with its account held", held)):
        wall, cpu = (sorted(span[n] for span in spans) for n in (0, 1))
        by_wall = f"{wall[0]:.1f} ms at least by the wall, {statistics.median(wall):.1f} at the median"
        print(f"{BATCH} takes alone, {what}: {statistics.median(cpu):.1f} ms of CPU, {by_wall}")
    hold, rest = min(held)[0] / 1_000, (min(took)[0] - min(held)[0]) / 1_000
    for pause in (0.0, BUSY_S):
        lost = ", ".join(f"{lost_by_waiting(count, hold, rest + pause):.1%} of {count}" for count in (3, 8, 16, 32))
        print(f"on cores of their own, {'busy' if pause else 'taking only'}, workers lose by waiting: {lost}")


def lost_by_waiting(workers: int, hold: float, rest: float) -> float:
    """The share of takes a second that a lock costs workers which hold it for `hold` of each `hold + rest` seconds.

    Mean value analysis of a closed network with one queue (Reiser and Lavenberg, 1980).
    """
    queue = rate = 0.0
    for count in range(1, workers + 1):
        stay = hold * (1 + queue)
        rate = count / (rest + stay)
        queue = rate * stay
    return 1 - rate * (hold + rest) / workers


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budgets", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="of each kind")
    parser.add_argument("--rounds", type=int, default=24, help="batches in a run, of all workers")
    arguments = parser.parse_args()
    with own_database() as found:
        uvloop.run(main(found, arguments.runs, arguments.rounds))
