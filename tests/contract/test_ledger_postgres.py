"""What only a real PostgreSQL can show: statements at the same moment, answers that never arrive, its plans."""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import PLANNER, connect
from connectors.postgres.queries import statements
from connectors.postgres.sweeping import keep_plans
from domain.errors import Unavailable
from domain.ledger.model import Cancel, Claimed, Grip, Next, Settled, Standing, Taken, Woken
from domain.ports import Ledger
from tests.conftest import Engines, new_database
from tests.contract.ledgers import World, claim, done, in_postgres, park, settlement, take, taken

pytestmark = pytest.mark.integration

IDS = [f"r{n:03}" for n in range(120)]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with in_postgres(database_url) as found:
        yield found


def shuffled(seed: int) -> list[str]:
    ids = list(IDS)
    random.Random(seed).shuffle(ids)
    return ids


async def workers(world: World, count: int) -> list[Ledger]:
    return [await world.worker() for _ in range(count)]


# --- at the same moment ----------------------------------------------------------------------------------------------


async def test_L1_claims_of_the_same_ids_at_the_same_moment_have_one_winner_each(world: World) -> None:
    async def claims(seed: int) -> list[tuple[str, Standing]]:
        batch = [claim(id, 1000 * seed + n) for n, id in enumerate(shuffled(seed))]
        answers = await world.ledger().claim(batch)
        return [(c.id, a.standing) for c, a in zip(batch, answers, strict=True) if isinstance(a, Claimed)]

    met = [pair for batch in await asyncio.gather(*(claims(seed) for seed in range(8))) for pair in batch]
    assert len(met) == 8 * len(IDS)  # nobody is left without an answer
    assert Counter(id for id, what in met if what is Standing.NEW) == dict.fromkeys(IDS, 1)
    assert {what for _, what in met} == {Standing.NEW, Standing.JOINED}


async def test_L6_a_request_is_taken_by_one_of_all_who_want_it(world: World) -> None:
    await world.ledger().claim([claim(id) for id in IDS])
    team = await workers(world, 6)
    takes = await asyncio.gather(*(team[n].take([take(id) for id in shuffled(n)]) for n in range(6)))
    grips = Counter(answer.grip for batch in takes for answer in batch if isinstance(answer, Taken))
    assert grips == {Grip.TAKEN: len(IDS), Grip.HELD: 5 * len(IDS)}


async def test_L11_one_of_all_settlements_wins(world: World) -> None:
    owner = await world.worker()
    await owner.claim([claim(id) for id in IDS])
    await owner.take([take(id) for id in IDS])

    async def settle(n: int) -> list[bool]:
        batch = [settlement(id, result=f"{id} by {n}".encode()) for id in shuffled(n)]
        return [a.won for a in await world.ledger().settle(batch) if isinstance(a, Settled)]

    won = [answer for batch in await asyncio.gather(*(settle(n) for n in range(6))) for answer in batch]
    assert Counter(won) == {True: len(IDS), False: 5 * len(IDS)}


async def test_L10_no_two_workers_wake_the_same_request(world: World) -> None:
    ledger = world.ledger()
    await ledger.claim([claim(id) for id in IDS])
    await ledger.park([park(id, 0, world.now()) for id in IDS])

    async def wake_all() -> list[Woken]:
        found: list[Woken] = []
        for _ in range(12):
            found += await world.ledger().wake(20)
        return found

    woken = [row.id for batch in await asyncio.gather(*(wake_all() for _ in range(4))) for row in batch]
    assert sorted(woken) == IDS


async def test_L16_batches_in_any_order_never_deadlock(world: World) -> None:
    team = await workers(world, 6)
    failures: list[Exception] = []

    async def work(n: int) -> None:
        dice = random.Random(n)
        for _ in range(25):
            try:
                await _anything(team[n], dice, world)
            except Unavailable as error:
                failures.append(error)

    await asyncio.gather(*(work(n) for n in range(6)))
    assert failures == []


async def _anything(ledger: Ledger, dice: random.Random, world: World) -> None:
    ids, epoch = dice.sample(IDS, 40), dice.randrange(4)
    verbs: list[Callable[[], Awaitable[object]]] = [
        lambda: ledger.claim([claim(id, dice.randrange(10**6)) for id in ids]),
        lambda: ledger.take([take(id) for id in ids]),
        lambda: ledger.go_on([Next("acme", id, 1, epoch, done(), "openai", "gpt") for id in ids]),
        lambda: ledger.park([park(id, epoch, world.now(), done=done()) for id in ids]),
        lambda: ledger.settle([settlement(id, epoch) for id in ids]),
        lambda: ledger.emitted([("acme", id, 1) for id in ids]),
        lambda: ledger.cancel([Cancel("acme", id) for id in ids]),
        lambda: ledger.cancelled(30),
        lambda: ledger.wake(30),
        lambda: ledger.stray(30),
    ]
    await dice.choice(verbs)()


# --- answers that never arrive ---------------------------------------------------------------------------------------


class Wire:
    """A TCP line to the server; when it is deaf, requests still arrive and answers do not; when dead, nothing does."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.deaf = False
        self.dead = False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        await asyncio.gather(
            self._pump(reader, up_writer, lambda: self.dead),
            self._pump(up_reader, writer, lambda: self.dead or self.deaf),
        )

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, lost: Callable[[], bool]) -> None:
        try:
            while data := await source.read(65536):
                if not lost():
                    sink.write(data)
        except OSError:
            pass
        finally:
            sink.close()


@asynccontextmanager
async def wire(database_url: str) -> AsyncIterator[tuple[Wire, str]]:
    parts = urlsplit(database_url)
    line = Wire(parts.hostname or "", parts.port or 5432)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    account = parts.netloc.rpartition("@")[0]
    yield line, urlunsplit(parts._replace(netloc=f"{account}@127.0.0.1:{port}"))
    server.close()


async def test_L16_every_verb_repeated_after_a_lost_answer_answers_the_same(world: World) -> None:
    assert world.database_url is not None
    async with wire(world.database_url) as (line, url):
        pool = await connect(url, 1, timeout=0.5)
        ledger = PostgresLedger(pool)
        await ledger.register("unlucky", "infer")
        await ledger.renew()

        async def lost(verb: Callable[[], Awaitable[object]]) -> None:
            """The verb reaches the server, its answer does not reach us."""
            line.deaf = True
            with pytest.raises(Unavailable):
                await verb()
            line.deaf = False

        end = settlement(epoch=1, done=done(2))
        again = Next("acme", "a", 1, 1, done(1, "invalid_output"), "openai", "gpt")
        steps: list[tuple[Callable[[], Awaitable[object]], object]] = [
            (lambda: ledger.claim([claim()]), [Standing.RESUMED]),
            (lambda: ledger.take([take()]), [Taken(Grip.TAKEN, 1, 1)]),
            (lambda: ledger.go_on([again]), [2]),
            (lambda: ledger.settle([end]), [Settled(True, (b"usage 1 invalid_output", b"usage 2 ok"))]),
        ]
        for verb, expected in steps:
            await warm(ledger)
            await lost(verb)
            answer = await verb()
            assert expected == ([a.standing for a in answer] if verb is steps[0][0] else answer)  # type: ignore[attr-defined]
        await pool.close()


async def warm(ledger: Ledger) -> None:
    """Have a connection with every statement prepared, so that one packet carries the next verb."""
    await ledger.claim([claim("warm")])
    await ledger.take([take("nobody")])
    await ledger.go_on([Next("acme", "nobody", 1, 1, done(), "openai", "gpt")])
    await ledger.settle([settlement("nobody")])


async def test_a_server_that_swallows_everything_is_unavailable_in_time(world: World) -> None:
    assert world.database_url is not None
    async with wire(world.database_url) as (line, url):
        pool = await connect(url, 2, timeout=1.0)
        ledger = PostgresLedger(pool)
        await ledger.claim([claim()])
        line.dead = True
        for _ in range(3):  # an open connection first, then new ones
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await ledger.claim([claim("b", 2)])
            assert time.monotonic() - began < 2.5
        line.dead = False
        assert len(await ledger.claim([claim("b", 2)])) == 1
        line.dead = True
        began = time.monotonic()
        await pool.close()
        assert time.monotonic() - began < 2.5


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    pool = await connect("postgresql://app:secret@127.0.0.1:1/none", 2)
    with pytest.raises(Unavailable, match=r"PostgreSQL at 127\.0\.0\.1:1/none does not answer") as caught:
        await PostgresLedger(pool).claim([claim()])
    assert "secret" not in str(caught.value)
    await pool.close()


async def test_a_killed_connection_costs_one_statement_at_most(world: World) -> None:
    assert world.database_url is not None
    pool = await connect(world.database_url, 1)
    ledger = PostgresLedger(pool)
    await ledger.claim([claim()])
    admin = await asyncpg.connect(world.database_url)
    row = await pool.row("SELECT pg_backend_pid() AS pid")
    assert row is not None
    await admin.execute("SELECT pg_terminate_backend($1)", row["pid"])
    await admin.close()
    with suppress(Unavailable):  # unless the pool has seen already that it is closed
        await ledger.find("acme", "a")
    assert await ledger.find("acme", "a") is not None
    await pool.close()


async def test_a_statement_that_takes_too_long_is_given_up(world: World) -> None:
    assert world.database_url is not None
    owner, other = await asyncpg.connect(world.database_url), await connect(world.database_url, 1, timeout=0.5)
    await world.ledger().claim([claim()])
    ledger = PostgresLedger(other)
    await ledger.register("waits", "infer")
    async with owner.transaction():
        await owner.execute("SELECT FROM claims FOR UPDATE")
        with pytest.raises(Unavailable):
            await taken(ledger)
    assert (await taken(ledger)).grip is Grip.TAKEN
    await other.close()
    await owner.close()


# --- plans -----------------------------------------------------------------------------------------------------------

SUBJECTS = (
    "claim",
    "dispatch",
    "settle",
    "cancel",
    "sweep",
    "find",
    "jobs",
    "letters",
    "queues",
    "workers",
    "accounts",
    "budgets",
    "coalesce",
    "lanes",
    "asked",
)
STATEMENTS = [(subject, name) for subject in SUBJECTS for name in statements(subject)]
# Few tenants and plans, all wanted, as are all that wait where they are counted; the patrol has one row; wishes to
# cancel, looks at what is late, entries not added up yet and questions of the last half minute are few.
WALKS = {
    ("accounts", "tenants"),
    ("accounts", "callers"),
    ("accounts", "plans"),
    ("accounts", "delete_plan"),
    ("budgets", "fold"),
    ("claim", "claim"),
    ("coalesce", "forget"),
    ("lanes", "in_flight"),
    ("letters", "page_of_all"),
    ("sweep", "next_due"),
    ("queues", "waiting"),
    ("sweep", "patrol_mark"),
    ("sweep", "patrol_moved"),
    ("budgets", "rules"),
}


@pytest.fixture(scope="module")
def new_url(engines: Engines, migrated_template: str) -> Iterator[str]:
    """A database in which nothing was ever written."""
    with new_database(engines.database_url, migrated_template) as url:
        yield url


@pytest.mark.parametrize(("subject", "name"), STATEMENTS, ids=str)
async def test_L4_every_statement_goes_through_keys_from_the_start(new_url: str, subject: str, name: str) -> None:
    """The plan that is kept is made on empty tables: that is when the planner would choose to read all of them."""
    plan = [line for line in await _plan(new_url, statements(subject)[name]) if "on patrol" not in line]
    if (subject, name) not in WALKS:
        assert [line for line in plan if "Seq Scan" in line or "Hash Join" in line or "Merge Join" in line] == []
        assert _read_whole(plan) == [], "\n".join(plan)
    assert [line for line in _read_whole(plan) if " on claims" in line or " on bodies" in line] == []
    # a join over keys is a look into an index with all of them; what is left to a filter is read for nothing, but where
    # the rows of a small batch are compared with each other
    assert name == "follow" or [line for line in plan if "Join Filter" in line and ".id = " in line] == []
    if any("LockRows" in line or "Update on" in line or "Delete on" in line for line in plan):
        # run-time pruning under EvalPlanQual brings PostgreSQL 18 down: docs/decisions/0006-claims-are-one-table.md
        assert name == "complete" or [line for line in plan if "Scan" in line and "_default" in line] == []


async def test_L4_a_table_that_was_seen_empty_and_has_grown_is_gone_through_by_its_keys(new_url: str) -> None:
    release = statements("coalesce")["release"]
    connection = await asyncpg.connect(new_url)
    await connection.execute("INSERT INTO waiting VALUES ('acme', 'r', 1, 1, now(), 'retry', 'bulk')")
    await connection.execute("DELETE FROM waiting")
    await connection.execute("VACUUM ANALYZE waiting")
    assert _read_whole(await _plan(new_url, release)) != []
    await connection.execute(
        "INSERT INTO waiting SELECT 'acme', n::text, 1, 1, now(), 'retry', 'bulk' FROM generate_series(1, 20000) n"
    )
    pool = await connect(new_url, 1)
    await keep_plans(pool)
    assert _read_whole(await _plan(new_url, release)) == []
    await pool.close()
    await connection.close()


def _read_whole(plan: Sequence[str]) -> list[str]:
    """Scans of an index that begin at no key."""
    return [
        line
        for line, below in zip(plan, [*plan[1:], ""], strict=True)
        if re.search(r"Index (Only )?Scan", line) and "Index Cond" not in below
    ]


async def _plan(database_url: str, statement: str) -> list[str]:
    connection = await asyncpg.connect(database_url, server_settings=PLANNER)
    try:
        await connection.execute(f"PREPARE hot AS {statement.rstrip(';')}")
        count = await connection.fetchval(
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'hot'"
        )
        nulls = f"({', '.join(['NULL'] * count)})" if count else ""
        return [row[0] for row in await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE hot{nulls}")]
    finally:
        await connection.close()
