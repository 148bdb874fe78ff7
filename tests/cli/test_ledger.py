"""What the ledger knows is explained, and answers a repeat that produces nothing."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from benchmarks.codec import result as benchmark_result
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import connect
from domain.ledger.model import AttemptDone, Claim, Park, Settlement, Source, State, Take
from topics.codec import body_hash, encode, request_hash

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("stack")]
BODY = {"id": "known", "prompt": "x", "tenant": "demo"}


def in_ledger(database_url, work) -> None:
    async def run():
        pool = await connect(database_url, 1)
        try:
            ledger = PostgresLedger(pool)
            await ledger.register("worker-1", "infer")
            await work(ledger)
        finally:
            await pool.close()

    asyncio.run(run())


def claim(id: str) -> Claim:
    body = BODY | {"id": id}
    source = Source("prompt.requests", 3, abs(hash(id)) % 10**6)
    return Claim("demo", id, body_hash(body), source, b"{}", "standard", datetime.now(UTC))


async def settled(ledger: PostgresLedger) -> None:
    [claimed] = await ledger.claim([claim("known")])
    [taken] = await ledger.take([Take("demo", "known", claimed.run, "simulated", "small")])
    row = benchmark_result() | {"id": "known", "tenant": "demo", "request_hash": request_hash(body_hash(BODY))}
    done = AttemptDone(taken.attempt, "ok", Decimal("0.0000094"), 31, 8, b'{"repaired":true}')
    ended = Settlement("demo", "known", claimed.run, taken.epoch, State.COMPLETED, encode(row), "infer", None, done)
    await ledger.settle([ended])


async def parked(ledger: PostgresLedger) -> None:
    [claimed] = await ledger.claim([claim("waits")])
    later = datetime.now(UTC) + timedelta(hours=1)
    await ledger.park([Park("demo", "waits", claimed.run, claimed.epoch, later, "rate_limit", "standard")])


def test_a_finished_request_is_explained_and_its_repeat_answered(cli, database_url):
    in_ledger(database_url, settled)
    facts = json.loads(cli("explain", "known", "--json").stdout)
    assert (facts["state"], facts["cost_usd"], facts["output"]) == ("completed", "0.0000094", '{"label":"negative"}')
    assert (facts["attempts"][0]["outcome"], "record" in facts["attempts"][0]) == ("ok", False)
    assert facts["attempts"][0]["repaired"] is True
    shown = cli("explain", "known").stdout
    assert "ok, repaired" in shown
    assert "prompt.requests/3/" in shown
    assert "simulated" in shown
    again = cli("submit", "-", "--wait", "--timeout", "20", stdin=json.dumps(BODY))
    assert again.exit_code == 0
    assert "completed 1" in again.stdout


def test_another_body_is_not_answered_with_the_stored_result(cli, database_url):
    in_ledger(database_url, settled)
    other = json.dumps(BODY | {"prompt": "something else"})
    assert "unanswered 1" in cli("submit", "-", "--wait", "--timeout", "3", stdin=other).stdout


def test_a_waiting_request_says_for_what_and_until_when(cli, database_url):
    in_ledger(database_url, parked)
    facts = json.loads(cli("explain", "waits", "--json").stdout)
    assert (facts["state"], facts["waits_for"]) == ("waiting", "rate_limit")
    assert facts["waits_until"] is not None
