"""Each dependency, taken away in each way under load: what holds meanwhile, and that everything is made good after.

A short form by default; `pytest tests/outages --outages full` takes each away for 30 s, in every way.
"""

import asyncio
import time

import pytest

from domain.ledger.results import call_id
from tests.outages.product import Load, Outcome, Proxied, Sent, outcome_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
ENGINES = ("postgres", "kafka", "redis", "clickhouse", "provider")
WAYS = ("killed", "refused", "black_holed", "slow")
SHORT = {
    ("postgres", "black_holed"), ("kafka", "black_holed"), ("redis", "refused"), ("clickhouse", "black_holed"),
    ("provider", "refused"),
}  # fmt: skip
"""What CI runs: the others differ little from these, and tests/e2e kills each process."""
ANSWERED_WITHIN = 2.0
PAUSES_THE_DOOR = ("postgres", "kafka")


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> float:
    """How long an engine is away."""
    return 30.0 if request.config.getoption("--outages") == "full" else 8.0


@pytest.mark.parametrize(
    ("engine", "way"),
    [
        pytest.param(engine, way, marks=() if (engine, way) in SHORT else pytest.mark.full)
        for engine in ENGINES
        for way in WAYS
    ],
)
def test_what_was_acknowledged_is_answered_once_whatever_was_away(
    product: Proxied, engine: str, way: str, seconds: float
) -> None:
    product.control("POST", latency_ms={"mean": 300, "jitter": 200})
    before = product.restarts()
    with Load(product) as load:
        time.sleep(3)
        began = time.monotonic()
        product.take_away(engine, way)
        product.watch(seconds)
        ended = time.monotonic()
        product.bring_back(engine, way)
        time.sleep(5)
    outcome = outcome_of(product, load.sent, 100)

    _everything_is_made_good(product, load.sent, outcome)
    assert product.restarts() == before, "a dependency that is away is no reason to start again (rule S6)"
    if engine != "provider":
        assert outcome.repeated == 0, "nobody pays twice"
    during = load.sent.between(began + 0.5, ended - ANSWERED_WITHIN)
    assert during
    assert max(answer.seconds for answer in during) < ANSWERED_WITHIN
    statuses = {answer.status for answer in during}
    if engine in PAUSES_THE_DOOR and way in ("refused", "black_holed"):
        assert statuses == {503}, "nothing is acknowledged that is not stored"
    elif engine not in PAUSES_THE_DOOR:
        assert statuses == {202}
    assert all(answer.retry_after for answer in during if answer.status == 503)
    assert {answer.status for answer in load.sent.between(ended + 4, ended + 60)} <= {202}


def _everything_is_made_good(product: Proxied, sent: Sent, outcome: Outcome) -> None:
    assert outcome.lost == []
    assert outcome.differing == []
    assert outcome.statuses == {"completed": len(sent.owed)}
    # rule L8: a row for every call that the provider counted
    rows = asyncio.run(
        product.ask_database("SELECT id, count(*) AS n FROM attempts WHERE id = ANY($1) GROUP BY id", sent.owed)
    )
    attempts = {row["id"]: row["n"] for row in rows}
    assert {id: n for id, n in outcome.calls.items() if n > attempts.get(id, 0)} == {}
    assert product.in_clickhouse(sent.owed, 60) == len(sent.owed)


def test_D2_a_redis_that_was_wiped_costs_no_result_and_no_money(product: Proxied) -> None:
    product.control("POST", latency_ms={"mean": 300, "jitter": 200})
    with Load(product) as load:
        for _ in range(4):
            time.sleep(1.5)
            product.wipe_redis()
    outcome = outcome_of(product, load.sent, 60)
    _everything_is_made_good(product, load.sent, outcome)
    assert outcome.repeated == 0


@pytest.mark.parametrize("way", ["refused", "black_holed", "wiped"])
def test_without_redis_no_call_is_paid_over_its_limit(product: Proxied, way: str) -> None:
    rate, burst = 5, 5
    tenant = f"limited-{way}".replace("_", "-")
    words = ("--requests-per-minute", str(rate * 60), "--burst", str(burst), "--if-missing")
    assert product.run("tenants", "create", tenant, *words).returncode == 0
    ids = [f"{tenant}-{number}" for number in range(60)]
    began = time.monotonic()
    product.publish(*({"id": id, "tenant": tenant, "prompt": f"Hello {id}"} for id in ids))
    gone = False
    while (seconds := time.monotonic() - began) < 12:
        billed = product.control()["calls_by_request"]
        calls = sum(billed.get(call_id(tenant, id, 1), 0) for id in ids)
        assert calls <= burst + rate * (time.monotonic() - began) + 1
        if seconds > 2 and not gone:
            gone = True
            if way == "wiped":
                product.wipe_redis()
            else:
                product.take_away("redis", way)
        if seconds > 8:
            product.bring_back("redis", way)
        time.sleep(0.2)
    found = product.results(ids, 60)
    assert len(found) == len(ids)
    assert {rows[0]["status"] for rows in found.values()} == {"completed"}
