"""The counting decorators change nothing and count what happened."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from connectors.memory.ledger import MemoryLedger
from connectors.memory.limiter import MemoryLimiter
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.store import MemoryStore
from connectors.metered import MeteredLedger, MeteredLimiter, MeteredProducer
from domain.admission.model import Charge, Limit
from domain.errors import Unavailable
from domain.ledger.model import AttemptDone, Claim, Next, Park, Settlement, Source, State, Take, Taken
from domain.ports import Record

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DONE = AttemptDone(1, "invalid_output", Decimal(0), 1, 1, b"{}")


@pytest.fixture
def metrics() -> MemoryMetrics:
    return MemoryMetrics()


def claim(id: str, offset: int) -> Claim:
    return Claim("acme", id, b"\x01" + b"h" * 32, Source("prompt.requests", 0, offset), b"{}", "standard", NOW)


async def test_what_the_limiter_decides_is_counted(metrics: MemoryMetrics) -> None:
    limiter = MeteredLimiter(MemoryLimiter(lambda: 0.0), metrics)
    charge = (Limit("acme", 60, 2),)
    admissions = await limiter.admit([Charge(charge)] * 3 + [Charge(charge, reject=True)])
    assert [admission.wait for admission in admissions] == [0, 0, 1, 2]
    assert (await limiter.peek(Charge(charge))).admission.wait == 2
    for outcome, count in {"passed": 2, "waits": 1, "rejected": 1}.items():
        assert metrics.value("limit_decisions", outcome=outcome) == count


async def test_ends_waits_and_re_asks_of_the_ledger_are_counted(metrics: MemoryMetrics) -> None:
    ledger = MeteredLedger(MemoryLedger(MemoryStore(), lambda: NOW), metrics, "infer")
    await ledger.register("worker-1", "infer")
    await ledger.claim([claim("a", 1), claim("b", 2)])
    taken = await ledger.take([Take("acme", id, 1, "simulated", "m") for id in "ab"])
    first, second = (answer.epoch for answer in taken if isinstance(answer, Taken))
    assert await ledger.go_on([Next("acme", "a", 1, first, DONE, "simulated", "m")]) == [2]
    await ledger.settle(
        [
            Settlement("acme", "a", 1, first, State.FAILED, b"{}", "infer", "invalid_output"),
            Settlement("acme", "b", 1, second + 9, State.COMPLETED, b"{}", "infer"),
        ]
    )
    await ledger.park([Park("acme", "b", 1, second, NOW + timedelta(seconds=1), "retry", "standard", DONE)])
    assert metrics.value("re_asks", model="m") == 1
    assert metrics.value("requests_settled") == 1
    assert metrics.value("requests_settled", stage="infer", status="failed", code="invalid_output") == 1
    assert metrics.value("requests_parked", stage="infer", reason="retry") == 1
    assert metrics.observed("batch_size", verb="take") == [2]
    assert len(metrics.observed("batch_seconds", stage="infer")) == 5


async def test_calls_that_may_be_paid_twice_are_counted(metrics: MemoryMetrics) -> None:
    store, moments = MemoryStore(), [NOW]
    workers = [MeteredLedger(MemoryLedger(store, lambda: moments[0]), metrics, "infer") for _ in range(2)]
    await workers[0].claim([claim("a", 1), claim("b", 2)])
    for number, worker in enumerate(workers):
        await worker.register(f"worker-{number}", "infer")
        await worker.take([Take("acme", id, 1, "simulated", "m") for id in "ab"])
        assert metrics.value("calls_repeated") == 2 * number
        moments[0] += timedelta(seconds=11)


async def test_what_the_broker_acknowledged_is_counted_by_topic(metrics: MemoryMetrics) -> None:
    sent: list[Record] = []

    class Broker:
        async def send(self, records: Sequence[Record]) -> None:
            if sent:
                raise Unavailable("gone")
            sent.extend(records)

    producer = MeteredProducer(Broker(), metrics, "infer")
    batch = [Record("prompt.results", b"1"), Record("prompt.usage", b"2"), Record("prompt.usage", b"3")]
    await producer.send(batch)
    with pytest.raises(Unavailable):
        await producer.send(batch)
    assert sent == batch
    assert metrics.value("events_out", stage="infer", topic="prompt.usage") == 2
    assert metrics.value("events_out") == 3
