"""What every store of answers to other wordings does."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256

import asyncpg
import pytest

from connectors.memory.similar import MemorySimilarAnswers
from connectors.postgres.pool import connect
from connectors.postgres.similar import PostgresSimilarAnswers, lacking, sweep
from domain.caching.semantic import PROOF, Check, Kept, Known, Place, Seen, Trust
from domain.errors import Permanent
from domain.ports import SimilarAnswers

HERE = Place("acme", b"p" * 32, b"s" * 32, "faq", 1)
X, Y = (1.0, 0.0), (0.0, 1.0)


def kept(place: Place = HERE, entry: bytes = b"answer", ttl: int = 60, vector: tuple[float, ...] = X) -> Kept:
    return Kept(place, vector, Known(1.0, entry, f"{place.tenant}:key", {"team": "ü"}), ttl)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def answers(database: str | None) -> AsyncIterator[SimilarAnswers]:
    if database is None:
        yield MemorySimilarAnswers()
        return
    pool = await connect(database, 3)
    await pool.fetch("DELETE FROM similar_answers")
    await pool.fetch("DELETE FROM similar_trust")
    yield PostgresSimilarAnswers(pool)
    await pool.close()


async def test_what_is_kept_is_found_at_its_place_with_its_nearness(answers: SimilarAnswers) -> None:
    await answers.keep([kept()])
    elsewhere = [replace(HERE, tenant="globex"), replace(HERE, partition=b"q" * 32), replace(HERE, sense=b"t" * 32)]
    assert await answers.peek([HERE, *elsewhere]) == [Seen(True), Seen(), Seen(), Seen()]
    same, other, *none = await answers.compare([(HERE, X), (HERE, Y), *((place, X) for place in elsewhere)])
    assert same == Known(1.0, b"answer", "acme:key", {"team": "ü"})
    assert other is not None
    assert other.similarity == pytest.approx(0.0)
    assert none == [None, None, None]
    assert await answers.peek([]) == []
    assert await answers.compare([]) == []


async def test_the_newest_answer_takes_the_place_of_the_one_before(answers: SimilarAnswers) -> None:
    await answers.keep([kept(entry=b"old"), kept(entry=b"new"), kept(replace(HERE, tenant="a"), b"of another")])
    (found,) = await answers.compare([(HERE, X)])
    assert found is not None
    assert found.entry == b"new"
    await answers.keep([kept(entry=b"newest", vector=(0.0, 1.0, 0.0))])
    (found,) = await answers.compare([(HERE, (0.0, 2.0, 0.0))])
    assert found is not None
    assert (found.entry, found.similarity) == (b"newest", pytest.approx(1.0))


async def test_a_vector_that_cannot_be_compared_is_never_near(answers: SimilarAnswers) -> None:
    await answers.keep([kept(vector=(0.0, 0.0))])
    (found,) = await answers.compare([(HERE, X)])
    assert found is not None
    assert not found.similarity >= 0.1
    with pytest.raises(Permanent):
        await answers.compare([(HERE, (1.0, 0.0, 0.0))])


async def test_an_answer_is_kept_for_its_time_only(answers: SimilarAnswers) -> None:
    await answers.keep([kept(ttl=1), kept(replace(HERE, sense=b"n" * 32), ttl=0)])
    assert await answers.peek([HERE, replace(HERE, sense=b"n" * 32)]) == [Seen(True), Seen()]
    await asyncio.sleep(1.05)
    assert await answers.peek([HERE]) == [Seen()]
    assert await answers.compare([(HERE, X)]) == [None]


async def test_ten_thousand_pairs_across_tenants_never_meet(answers: SimilarAnswers) -> None:
    draw = random.Random(5)
    tenants = [f"tenant-{number}" for number in range(50)]
    spots = [(sha256(b"p%d" % (n % 7)).digest(), sha256(b"s%d" % n).digest()) for n in range(200)]
    owner = {spot: draw.choice(tenants) for spot in spots}
    await answers.keep([kept(Place(tenant, *spot, "faq", 1), tenant.encode()) for spot, tenant in owner.items()])
    pairs = [
        (Place(draw.choice([one for one in tenants if one != owner[spot]]), *spot, "faq", 1), X)
        for spot in draw.choices(spots, k=10_000)
    ]
    for start in range(0, len(pairs), 2_500):
        batch = pairs[start : start + 2_500]
        assert [seen for seen in await answers.peek([place for place, _ in batch]) if seen.known] == []
        assert [found for found in await answers.compare(batch) if found is not None] == []
    own = [(Place(tenant, *spot, "faq", 1), X) for spot, tenant in owner.items()]
    found = [known.entry.decode() if known else None for known in await answers.compare(own)]
    assert found == list(owner.values())


async def test_wrong_hits_close_a_template_of_a_tenant_and_right_ones_open_it_again(answers: SimilarAnswers) -> None:
    right, wrong = Check("acme", "faq", 1, True, 0.02), Check("acme", "faq", 1, False, 0.02)
    assert (await answers.note([right, wrong]))[-1] == Trust("acme", "faq", 1, checked=2, wrong=1)
    assert (await answers.note([wrong]))[-1].closed
    others = [replace(HERE, tenant="globex"), replace(HERE, template="other"), replace(HERE, version=2)]
    assert [seen.closed for seen in await answers.peek([HERE, *others])] == [True, False, False, False]
    assert (await answers.note([right] * (2 * PROOF)))[-1].closed is False
    assert [seen.closed for seen in await answers.peek([HERE])] == [False]
    await answers.note([replace(right, version=2), replace(right, tenant="globex")])
    assert [(one.template, one.version) for one in await answers.trust("acme")] == [("faq", 1), ("faq", 2)]


async def test_checks_of_several_workers_are_all_counted(answers: SimilarAnswers) -> None:
    check = Check("acme", "faq", 1, True, 0.02)
    await asyncio.gather(*(answers.note([check, replace(check, template=f"t{n}")]) for n in range(20)))
    (trust,) = [one for one in await answers.trust("acme") if one.template == "faq"]
    assert trust.checked == 20


@pytest.mark.integration
async def test_what_is_over_is_swept_and_a_server_without_pgvector_says_so(database_url: str) -> None:
    pool = await connect(database_url, 1)
    await pool.fetch("DELETE FROM similar_answers")
    await PostgresSimilarAnswers(pool).keep([kept(), kept(replace(HERE, tenant="over"))])
    await pool.fetch("UPDATE similar_answers SET expires_at = now() WHERE tenant = 'over'")
    await sweep(pool)
    assert [row["tenant"] for row in await pool.fetch("SELECT tenant FROM similar_answers")] == ["acme"]
    assert await lacking(pool) is None
    await pool.fetch("ALTER TABLE similar_answers RENAME TO elsewhere")
    missing = await lacking(pool)
    await sweep(pool)
    await pool.fetch("ALTER TABLE elsewhere RENAME TO similar_answers")
    await pool.close()
    assert missing is not None
    assert "structured-prompt migrate" in missing


@pytest.mark.integration
async def test_an_extension_that_comes_later_is_found_by_the_next_migration(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP EXTENSION vector CASCADE; DROP TABLE IF EXISTS similar_answers")
    await connection.close()
    from connectors.postgres.migrate import upgrade

    upgrade(database_url)
    pool = await connect(database_url, 1)
    assert await lacking(pool) is None
    await pool.close()
