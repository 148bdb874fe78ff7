"""What every Accounts store does."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from connectors.memory.accounts import MemoryAccounts
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.pool import connect
from domain.accounts.model import Allowance, ApiKey, Plan, Tenant
from domain.errors import Permanent
from domain.ports import Accounts

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ACME = Tenant("acme", requests_per_minute=600, burst=10, store_answers=True)
KEY = ApiKey("key_1", "acme", "ci", b"d" * 32, "sp_live_abcd", NOON)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def accounts(database: str | None) -> AsyncIterator[Accounts]:
    if database is None:
        yield MemoryAccounts()
        return
    admin = await asyncpg.connect(database)
    await admin.execute("DELETE FROM tenants")
    await admin.execute("DELETE FROM api_keys")
    await admin.execute("DELETE FROM plans")
    await admin.close()
    pool = await connect(database, 2)
    yield PostgresAccounts(pool)
    await pool.close()


async def test_a_tenant_is_created_once(accounts: Accounts) -> None:
    assert await accounts.create_tenant(ACME)
    assert not await accounts.create_tenant(Tenant("acme", active=False))
    assert await accounts.create_tenant(Tenant("abc", active=False))
    assert await accounts.tenants() == [Tenant("abc", active=False), ACME]
    assert await accounts.tenant("acme") == ACME
    assert await accounts.tenant("nobody") is None


async def test_a_key_is_found_by_its_digest_alone(accounts: Accounts) -> None:
    await accounts.create_key(KEY)
    await accounts.create_key(KEY)  # the answer was lost
    assert await accounts.key_by_digest(b"d" * 32) == KEY
    assert await accounts.key_by_digest(b"e" * 32) is None


async def test_a_digest_belongs_to_one_key(accounts: Accounts) -> None:
    await accounts.create_key(KEY)
    with pytest.raises(Permanent):
        await accounts.create_key(replace(KEY, id="key_2"))


async def test_a_key_keeps_its_scopes(accounts: Accounts) -> None:
    narrow = replace(KEY, id="key_2", digest=b"2", scopes=("requests:write", "usage:read"))
    await accounts.create_key(KEY)
    await accounts.create_key(narrow)
    assert [key.scopes for key in await accounts.keys("acme")] == [("admin",), ("requests:write", "usage:read")]
    assert await accounts.key_by_digest(b"2") == narrow


async def test_keys_are_listed_by_age_and_by_tenant(accounts: Accounts) -> None:
    older = replace(KEY, id="key_0", digest=b"0", created_at=NOON - timedelta(days=1), requests_per_minute=5, burst=2)
    theirs = replace(KEY, tenant="other", digest=b"1")
    for key in (KEY, older, theirs):
        await accounts.create_key(key)
    assert await accounts.keys("acme") == [older, KEY]
    assert await accounts.keys("nobody") == []


async def test_a_key_is_revoked_once_and_by_its_tenant_only(accounts: Accounts) -> None:
    await accounts.create_key(KEY)
    assert not await accounts.revoke_key("other", "key_1", NOON)
    assert not await accounts.revoke_key("acme", "key_9", NOON)
    assert await accounts.revoke_key("acme", "key_1", NOON)
    assert await accounts.revoke_key("acme", "key_1", NOON + timedelta(days=1))
    revoked = await accounts.key_by_digest(KEY.digest)
    assert revoked == replace(KEY, revoked_at=NOON)


async def test_limits_are_set_and_a_plan_fills_what_a_tenant_has_not(accounts: Accounts) -> None:
    small, own = Allowance(60, 5, 1_000, 500, 3), Allowance(concurrency=9)
    await accounts.put_plan(Plan("small", Allowance(1)))
    await accounts.put_plan(Plan("small", small))
    assert await accounts.plans() == [Plan("small", small)]
    await accounts.create_tenant(Tenant("acme", tokens_per_minute=9, plan="small"))
    assert await accounts.tenant("acme") == Tenant("acme", tokens_per_minute=9, plan="small", of_plan=small)
    assert await accounts.limit_tenant("acme", own, "small")
    assert await accounts.tenants() == [Tenant("acme", concurrency=9, plan="small", of_plan=small)]
    assert not await accounts.limit_tenant("nobody", own, None)
    assert not await accounts.delete_plan("small"), "a tenant has it"
    assert await accounts.limit_tenant("acme", own, None)
    assert (await accounts.delete_plan("small"), await accounts.delete_plan("small")) == (True, False)
    await accounts.create_key(replace(KEY, tokens_per_minute=7))
    assert (await accounts.keys("acme"))[0].tokens_per_minute == 7
    assert await accounts.limit_key("acme", "key_1", own)
    assert await accounts.keys("acme") == [replace(KEY, concurrency=9)]
    assert not await accounts.limit_key("acme", "key_2", own)
