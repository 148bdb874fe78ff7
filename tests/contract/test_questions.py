"""What was asked most, for its tenant."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from connectors.memory.asked import MemoryQuestions
from connectors.postgres.asked import PostgresQuestions
from connectors.postgres.pool import connect
from domain.ledger.model import Claim
from domain.ports.caching import Questions
from tests.contract.ledgers import World, claim
from tests.contract.test_ledger_coalescing import call

ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture
async def questions(world: World, database: str | None) -> AsyncIterator[Questions]:
    if database is None:
        yield MemoryQuestions(world.letters._store)  # type: ignore[attr-defined]  # the world's own store
        return
    pool = await connect(database, 1)
    yield PostgresQuestions(pool)
    await pool.close()


def asks(id: str, offset: int, key: str | None, tenant: str = "acme", **more: Any) -> Claim:
    body = call(id, tenant, cache_key=None if key is None else f"{tenant}:{key}", **more)
    return claim(id, offset, call=body.encode(), tenant=tenant)


async def test_the_most_asked_come_first_with_where_the_newest_came_from(world: World, questions: Questions) -> None:
    ledger, today = world.ledger(), world.now().date()
    said = {"role": "user", "content": f'"cache_key":"acme:{ONE}"'}
    await ledger.claim([asks("a", 1, TWO), asks("b", 2, None), asks("warm-1", 3, ONE)])
    await world.later(1)
    await ledger.claim([asks("c", 4, TWO + ".0123456789abcdef"), asks("d", 5, ONE), asks("e", 6, ONE, "globex")])
    await ledger.claim([claim("f", 7, call=call("f", messages=[said]).encode())])
    found = await questions.most_asked("acme", today - timedelta(days=1), None, 10)
    assert [(row.question, row.times, row.source.offset) for row in found] == [(TWO, 2, 4), (ONE, 1, 5)]
    assert [row.question for row in await questions.most_asked("acme", today - timedelta(days=1), None, 1)] == [TWO]
    assert await questions.most_asked("acme", today + timedelta(days=2), None, 10) == []


async def test_only_those_of_a_template(world: World, questions: Questions) -> None:
    ledger, since = world.ledger(), world.now().date() - timedelta(days=1)
    template = {"name": "sentiment", "version": 1}
    await ledger.claim([asks("a", 1, ONE, template=template), asks("b", 2, TWO, template={**template, "name": "sent"})])
    assert [row.question for row in await questions.most_asked("acme", since, "sentiment", 10)] == [ONE]
