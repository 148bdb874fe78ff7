"""What the ledger costs an event: `DATABASE_URL=… python -m benchmarks.ledger [EVENTS]`.

claim + take + settle + emitted in batches of 1, 50, 100 and 500, in a database of its own, which it removes. CPU is
that of this process (`ours`) and of the server process behind its one connection (`postgres`; this machine only).
The share of updates that stayed in their page (HOT) says whether the fill factor does its work. The last lines are
of requests that are all charged to one budget (rule L12), and what the roll-up adds an event.
"""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import uvloop

from benchmarks.databases import own_database
from connectors.postgres.budgets import PostgresBudgets
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import Pool, connect
from domain.budgets.model import Budget, Reserve
from domain.ledger.model import AttemptDone, Claim, Settlement, Source, State, Take

NOW = datetime.now(UTC)
CALL, RESULT, RECORD = b"c" * 600, b"r" * 577, b"u" * 369
DONE = AttemptDone(1, "ok", Decimal("0.0000094"), 31, 8, RECORD)


class Clock:
    """Seconds of CPU by verb, ours and the server's."""

    def __init__(self, server: int) -> None:
        self._stat = Path(f"/proc/{server}/schedstat")
        self.ours: dict[str, float] = defaultdict(float)
        self.postgres: dict[str, float] = defaultdict(float)
        self.wall: dict[str, float] = defaultdict(float)

    async def time(self, verb: str, work: Callable[[], Awaitable[Any]]) -> Any:
        before, ours, wall = self._server(), time.process_time(), time.perf_counter()
        answer = await work()
        self.wall[verb] += time.perf_counter() - wall
        self.ours[verb] += time.process_time() - ours
        self.postgres[verb] += self._server() - before
        return answer

    def _server(self) -> float:
        return int(self._stat.read_text().split()[0]) / 1e9


@dataclass(frozen=True)
class Kind:
    """asking: an equal question of another would do, and there is none (L14). reserve: of `tenant`'s budget (L12)."""

    asking: bool = True
    reserve: Reserve | None = None
    rules: int = 0
    tenant: str | None = None


PLAIN = Kind()


async def round_of(ledger: PostgresLedger, clock: Clock, first: int, size: int, kind: Kind = PLAIN) -> None:
    """One batch through its life."""
    keys = [(kind.tenant or f"tenant-{n % 7}", f"order-{first + n:09}") for n in range(size)]
    claims = [
        Claim(t, i, b"\x01" + b"h" * 32, Source("prompt.requests", 3, first + n), CALL, "standard", NOW)
        for n, (t, i) in enumerate(keys)
    ]
    await clock.time("claim", lambda: ledger.claim(claims))
    takes = [
        Take(
            t,
            i,
            1,
            "openai",
            "gpt-4o-mini",
            True,
            None,
            sha256(i.encode()).digest() if kind.asking else None,
            kind.reserve,
            kind.rules,
        )
        for t, i in keys
    ]
    taken = await clock.time("take", lambda: ledger.take(takes))
    done = replace(DONE, frees=kind.reserve is not None)
    ends = [
        Settlement(t, i, 1, taken[n].epoch, State.COMPLETED, RESULT, "infer", None, done)
        for n, (t, i) in enumerate(keys)
    ]
    settled = await clock.time("settle", lambda: ledger.settle(ends))
    assert all(answer.won for answer in settled)
    await clock.time("emitted", lambda: ledger.emitted([(t, i, 1) for t, i in keys]))


async def sizes(pool: Pool, events: int) -> None:
    ledger = PostgresLedger(pool)
    await ledger.register("benchmark", "infer")
    row = await pool.row("SELECT pg_backend_pid() AS pid")
    assert row is not None
    first = 0
    print("each of them asks what nobody else asks; the last line without looking for that")
    print(f"{'batch':>6} {'events':>7}   ours µs (claim take settle emitted)   postgres µs (…)   wall µs an event")
    await round_of(ledger, Clock(row["pid"]), 10**8, 50)  # plans are made once
    for size, asking in ((1, True), (50, True), (100, True), (500, True), (100, False)):
        first = await _measure(ledger, row["pid"], first, (size, events), Kind(asking))
    kind = await _hot_budget(pool)
    print("all of them charged to one budget")
    await round_of(ledger, Clock(row["pid"]), 2 * 10**8, 50, kind)
    for size in (1, 50, 100, 500):
        first = await _measure(ledger, row["pid"], first, (size, events), kind)
    began, booked = time.perf_counter(), 0
    while count := await PostgresBudgets(pool).fold(5_000):
        booked += count
    print(f"the roll-up: {(time.perf_counter() - began) / booked * 1e6:.1f} µs an event (wall)")


async def _measure(ledger: PostgresLedger, pid: int, first: int, how: tuple[int, int], kind: Kind) -> int:
    size, events = how
    rounds = max(4, min(events, 300 * size) // size)
    clock = Clock(pid)
    for _ in range(rounds):
        await ledger.renew()
        await round_of(ledger, clock, first, size, kind)
        first += size
    count = rounds * size
    print(f"{size:>6} {count:>7}   {_line(clock.ours, count)}   {_line(clock.postgres, count)}", end="")
    print(f"   {sum(clock.wall.values()) / count * 1e6:7.1f}")
    return first


async def _hot_budget(pool: Pool) -> Kind:
    budgets = PostgresBudgets(pool)
    await budgets.put(Budget("tenant-0", "all", Decimal(10**6), "month"))
    rules = await budgets.rules()
    reserve = Reserve(Decimal("0.0024"), (rules.budgets[0].serial,))
    return Kind(True, reserve, rules.version, "tenant-0")


def _line(spent: dict[str, float], count: int) -> str:
    parts = " ".join(f"{spent[verb] / count * 1e6:5.1f}" for verb in ("claim", "take", "settle", "emitted"))
    return f"{sum(spent.values()) / count * 1e6:6.1f} ({parts})"


async def patrol(pool: Pool, admin: asyncpg.Connection) -> None:
    """The sweeper's look at every request, once."""
    await admin.execute("UPDATE bodies SET claimed_at = claimed_at - interval '1 minute'")
    await admin.execute("UPDATE patrol SET seen = seen - interval '10 minutes'")
    count = await admin.fetchval("SELECT count(*) FROM bodies")
    began = time.perf_counter()
    await PostgresLedger(pool).stray(500)
    print(f"the patrol's look: {(time.perf_counter() - began) / count * 1e6:.1f} µs a request (wall)")


async def hot_share(admin: asyncpg.Connection) -> None:
    for table in ("claims", "attempts"):
        row = await admin.fetchrow(
            "SELECT sum(n_tup_upd) AS updated, sum(n_tup_hot_upd) AS hot, sum(n_dead_tup) AS dead"
            " FROM pg_stat_user_tables WHERE relname LIKE $1 || '%'",
            table,
        )
        print(f"{table}: {row['updated']} updates, {float(row['hot'] / max(1, row['updated'])):.0%} HOT")


async def main(url: str) -> None:
    pool = await connect(url, 1)
    admin = await asyncpg.connect(url)
    await sizes(pool, int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
    await patrol(pool, admin)
    await pool.close()
    await asyncio.sleep(1)  # the server's statistics are written when its connection ends
    await hot_share(admin)
    await admin.close()


if __name__ == "__main__":
    with own_database() as found:
        uvloop.run(main(found))
