"""The audit log, in memory and in PostgreSQL, and the ports that write it."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from connectors.audited import rules
from connectors.audited.postgres import Repositories
from connectors.audited.recording import audited
from connectors.memory.accounts import MemoryAccounts
from connectors.memory.budgets import MemoryBudgets
from connectors.memory.letters import MemoryLetters
from connectors.memory.sources import MemorySources
from connectors.memory.store import MemoryStore
from connectors.memory.trail import MemoryTrail
from connectors.postgres.pool import Pool, connect
from connectors.postgres.trail import PostgresTrail
from domain import ports
from domain.accounts.model import Allowance, Tenant
from domain.budgets.model import Budget
from domain.errors import Permanent, Transient, Unavailable
from domain.letters.model import Letter, Republish
from domain.ports import Accounts, Budgets, Letters, SourceStore, Trail
from domain.sources.stored import Stored
from domain.trail.model import SERVICE, Acting, Change, Entry, Wanted, act_as

NOW = datetime.now(UTC)
KEY = Acting("key", "acme", "key_1", "request-1", "203.0.113.7")


@dataclass
class World:
    trail: Trail
    accounts: Accounts
    budgets: Budgets
    sources: SourceStore
    letters: Letters
    tenant: str
    pool: Pool | None = None

    async def rows(self, tenant: str | None = None) -> list[Entry]:
        """Oldest first, of the tenant of this test."""
        return (await self.trail.page(Wanted(tenant or self.tenant), 1_000, None))[::-1]


@pytest.fixture
async def world(database: str | None) -> AsyncIterator[World]:
    if database is None:
        yield _in_memory()
    else:
        async with _in_postgres(database) as found:
            yield found


@asynccontextmanager
async def _in_postgres(url: str) -> AsyncIterator[World]:
    pool, tenant = await connect(url, 3), f"acme-{secrets.token_hex(4)}"
    found = Repositories(pool)
    yield World(found.trail, found.accounts, found.budgets, found.sources, found.letters, tenant, pool)
    await pool.close()


def _in_memory() -> World:
    tenant = f"acme-{secrets.token_hex(4)}"
    store, trail = MemoryStore(), MemoryTrail(lambda: datetime.now(UTC))
    return World(
        trail, audited(MemoryAccounts(), trail, rules.ACCOUNTS),
        audited(MemoryBudgets(store, lambda: NOW), trail, rules.BUDGETS),
        audited(MemorySources(), trail, rules.SOURCES),
        audited(MemoryLetters(store, lambda: NOW), trail, rules.LETTERS), tenant,
    )  # fmt: skip


def change(world: World, id: str = "b", **facts: object) -> Change:
    return Change(world.tenant, "budget.put", "budget", id, None, {"limit_usd": "1", **facts})


async def write(world: World, *changes: Change) -> None:
    async with world.trail.together("") as pen:
        for one in changes:
            await pen(one)


async def test_a_row_is_read_as_it_was_written(world: World) -> None:
    act_as(replace(KEY, tenant=world.tenant))
    told = replace(change(world, "b\u0000", scopes=("a", "b")), before={"limit_usd": None})
    await write(world, told)
    [row] = await world.rows()
    assert row.who == replace(KEY, tenant=world.tenant)
    assert row.change.after == {"limit_usd": "1", "scopes": ["a", "b"]}
    assert row.change.before == {"limit_usd": None}
    assert abs(row.at - datetime.now(UTC)) < timedelta(minutes=5)


async def test_pages_are_newest_first_and_a_tenant_is_a_wall(world: World) -> None:
    for number in range(5):
        await write(world, change(world, f"b{number}"))
    first = await world.trail.page(Wanted(world.tenant), 3, None)
    rest = await world.trail.page(Wanted(world.tenant), 3, (first[-1].at, first[-1].id))
    assert [row.change.id for row in first + rest] == ["b4", "b3", "b2", "b1", "b0"]
    assert await world.trail.page(Wanted(f"{world.tenant}-not"), 3, None) == []
    assert (await world.trail.page(Wanted(None, id="b4"), 3, None))[0] == first[0]


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ({"action": "budget.put"}, 2), ({"action": "key.limit"}, 0), ({"type": "budget", "id": "one"}, 1),
        ({"key_id": "key_1"}, 2), ({"key_id": "key_2"}, 0), ({"since": NOW + timedelta(days=1)}, 0),
        ({"since": NOW - timedelta(days=1)}, 2), ({"until": NOW - timedelta(days=1)}, 0),
    ],
)  # fmt: skip
async def test_rows_are_found_by_what_they_say(world: World, named: dict[str, str], found: int) -> None:
    act_as(KEY)
    await write(world, change(world, "one"), change(world, "two"))
    assert len(await world.trail.page(Wanted(world.tenant, **named), 10, None)) == found  # type: ignore[arg-type]


async def test_nothing_is_written_of_what_failed(world: World) -> None:
    with pytest.raises(RuntimeError, match="broke"):
        await fails(world)
    assert await world.rows() == []


async def fails(world: World) -> None:
    async with world.trail.together("a budget") as pen:
        await pen(change(world))
        raise RuntimeError("it broke")


async def test_only_old_rows_are_forgotten(world: World) -> None:
    await write(world, change(world))
    await world.trail.forget(datetime.now(UTC) + timedelta(days=1))
    assert len(await world.rows()) == 1, "a row of today stays, whatever is asked"


# --- ports that write it ---------------------------------------------------------------------------------------------


async def test_an_account_is_followed_through_its_changes(world: World) -> None:
    limited = Allowance(requests_per_minute=5)
    assert await world.accounts.create_tenant(Tenant(world.tenant, burst=3))
    assert not await world.accounts.create_tenant(Tenant(world.tenant))
    assert await world.accounts.limit_tenant(world.tenant, limited, None)
    assert not await world.accounts.limit_tenant(f"{world.tenant}-not", limited, None)
    made, limit = await world.rows()
    assert (made.change.action, limit.change.action) == ("tenant.create", "tenant.limit")
    assert made.change.before is None
    assert made.change.after is not None
    assert made.change.after["burst"] == 3
    assert limit.change.before == made.change.after
    assert limit.change.after == {**made.change.after, "requests_per_minute": 5, "burst": None}


async def test_changes_of_one_thing_follow_each_other(world: World) -> None:
    """Each one's `before` is the `after` of another: whoever comes second waits, and sees what the first did."""

    async def put(dollars: int) -> None:
        await world.budgets.put(Budget(world.tenant, "all", Decimal(dollars), "month", None, None, None))

    await asyncio.gather(*(put(dollars) for dollars in range(1, 9)))
    changes = [row.change for row in await world.rows()]
    assert changes[0].before is None
    assert [one.before for one in changes[1:]] == [one.after for one in changes[:-1]]


async def test_what_concerns_the_service_has_no_tenant(world: World) -> None:
    name = f"s-{secrets.token_hex(4)}"
    await world.sources.put(Stored(name, {"webhook": {"secret_env": "WEBHOOK_SECRET"}}, b"sealed", NOW))
    await world.sources.delete(name)
    found = await world.trail.page(Wanted(SERVICE, type="source", id=name), 10, None)
    assert [one.change.action for one in found] == ["source.delete", "source.put"]
    after = found[1].change.after
    assert after is not None
    assert (after["webhook"], len(after["opened_by"])) == ({"secret": None}, 12)


async def test_letters_that_are_started_again_are_named_for_each_tenant(world: World) -> None:
    names = [secrets.token_hex(16) for _ in range(3)]
    of = (world.tenant, f"{world.tenant}-2", world.tenant)
    await world.letters.store([letter(name, tenant) for name, tenant in zip(names, of, strict=True)])
    plans = [Republish(name, tenant, NOW) for name, tenant in zip(names, of, strict=True)]
    await world.letters.republish(plans)
    await world.letters.republish(plans)
    [mine], [theirs] = await world.rows(), await world.rows(f"{world.tenant}-2")
    assert mine.change.after is not None
    assert {one["letter"] for one in mine.change.after["letters"]} == {names[0], names[2]}
    assert theirs.change.id == names[1]


def letter(name: str, tenant: str) -> Letter:
    return Letter(name, tenant, None, None, "invalid_request", "intake", "?", "prompt.requests", 0, 1, NOW, NOW, b"{}")


# --- PostgreSQL alone ------------------------------------------------------------------------------------------------


@pytest.fixture
async def real(database_url: str) -> AsyncIterator[World]:
    async with _in_postgres(database_url) as found:
        yield found


@pytest.mark.integration
async def test_row_and_change_take_effect_together_or_neither(real: World) -> None:
    budget = Budget(real.tenant, "all", Decimal(5), "month", None, None, None)

    async def put_and_break() -> None:
        async with real.trail.together("") as pen:
            await real.budgets.put(budget)
            await pen(replace(change(real), tenant=None))  # type: ignore[arg-type]  # which the column refuses

    with pytest.raises((Permanent, Transient)):
        await put_and_break()
    assert await real.rows() == []
    assert await real.budgets.standings(real.tenant) == []
    await real.budgets.put(budget)
    assert [row.change.id for row in await real.rows()] == ["all"]


@pytest.mark.integration
async def test_what_is_refused_inside_takes_back_itself_alone(real: World) -> None:
    assert real.pool is not None
    pool = real.pool
    async with real.trail.together("") as pen:
        with pytest.raises(Permanent):
            await pool.fetch("SELECT 1 / 0")
        await pen(change(real))
    assert len(await real.rows()) == 1


@pytest.mark.integration
@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
async def test_the_table_itself_refuses_changes(real: World, statement: str) -> None:
    assert real.pool is not None
    await write(real, change(real))
    where = "" if "TRUNCATE" in statement else f" WHERE tenant = '{real.tenant}'"
    with pytest.raises(Unavailable, match="rows of the audit log are never changed"):
        await real.pool.fetch(statement + where)
    assert len(await real.rows()) == 1


@pytest.mark.integration
async def test_rows_past_their_time_are_forgotten(real: World) -> None:
    assert real.pool is not None
    await write(real, change(real))
    await real.pool.fetch(
        "INSERT INTO audit_log SELECT tenant, 'aud_old', now() - interval '31 days', actor, actor_tenant, key_id, "
        "request_id, address, action, object_type, object_id, before, after FROM audit_log WHERE tenant = $1",
        real.tenant,
    )
    assert len(await real.rows()) == 2
    await PostgresTrail(real.pool).forget(datetime.now(UTC) - timedelta(days=40))
    assert len(await real.rows()) == 2
    await PostgresTrail(real.pool).forget(datetime.now(UTC))
    assert [row.id == "aud_old" for row in await real.rows()] == [False]


# --- the rules -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("port", "given"),
    [
        ("Accounts", rules.ACCOUNTS), ("Budgets", rules.BUDGETS), ("Endpoints", rules.ENDPOINTS),
        ("Deliveries", rules.DELIVERIES), ("ExportJobs", rules.EXPORT_JOBS),
        ("ExportSchedules", rules.EXPORT_SCHEDULES), ("SinkBoard", rules.SINKS), ("SourceStore", rules.SOURCES),
        ("Schemas", rules.SCHEMAS), ("Letters", rules.LETTERS),
    ],
)  # fmt: skip
def test_every_rule_is_of_a_method(port: str, given: rules.Rules) -> None:
    assert given.keys() <= vars(getattr(ports, port)).keys()
