"""From a record to the receiver, on a clock that the tests turn."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import orjson
import pytest
from standardwebhooks.webhooks import Webhook
from structlog.testing import capture_logs

from agents.notify.queueing import QueueSink
from agents.notify.sender import Sender, SenderPorts
from agents.notify.upkeep import measure, tell_of_disabled
from connectors.memory.broker import MemoryBroker, MemoryProducer
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.webhooks import MemoryDeliveries, MemoryEndpoints, MemoryOutlet
from domain.errors import Unavailable
from domain.ports import Item
from domain.webhooks.model import Change, Delivery, Endpoint, Message, Settlement, Wish
from domain.webhooks.schedule import Heard
from domain.webhooks.signing import CALLBACKS, secret_key, shown
from tests.contract.messages import event, result
from topics.headers import CALLBACK_URL
from topics.records import LifecycleEvent
from topics.table import EVENTS, RESULTS

START = datetime.now(UTC)
PEPPER = b"p" * 32


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers' libraries read the machine's clock, and refuse what is older than five minutes."""
    monkeypatch.setattr(sys.modules[__name__], "START", datetime.now(UTC))


@dataclass
class Tenant:
    """Everything of one process, with a tenant that has one endpoint."""

    now: datetime = field(default_factory=lambda: START)
    endpoints: MemoryEndpoints = field(default_factory=MemoryEndpoints)
    outlet: MemoryOutlet = field(default_factory=MemoryOutlet)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)

    def __post_init__(self) -> None:
        self.deliveries = MemoryDeliveries(self.endpoints)
        self.nudges = 0
        self.sink = QueueSink(self.endpoints, self.deliveries, self.clock, self.nudged)
        self.sender = self.another()

    def clock(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return (self.now - START).total_seconds()

    def nudged(self) -> None:
        self.nudges += 1

    def another(self) -> Sender:
        ports = SenderPorts(
            self.endpoints, self.deliveries, self.outlet, self.metrics, PEPPER, self.clock,
            self.seconds, lambda: 0.0,
        )  # fmt: skip
        return Sender(ports, 64)

    async def subscribe(self, *events: str, id: str = "wh_1") -> None:
        await self.endpoints.add(Endpoint("acme", id, f"https://{id}.example", events, b"s", self.now))

    async def hear(self, *values: bytes, topic: str = RESULTS, callback: str | None = None) -> None:
        headers = [(CALLBACK_URL, callback.encode())] if callback else []
        items = [Item(topic, 0, n, self.now, None, value, headers) for n, value in enumerate(values)]
        assert await self.sink.write(items) == []

    async def send(self, seconds: float = 0.0) -> int:
        """What is due after so long; how many attempts that were."""
        self.now += timedelta(seconds=seconds)
        attempts = 0
        while taken := await self.sender.turn():
            attempts += taken
            await self.sender.drained()
        return attempts

    async def log(self, id: str = "wh_1") -> Sequence[Delivery]:
        return await self.deliveries.page("acme", id, 100, None)


@pytest.fixture
def tenant() -> Tenant:
    return Tenant()


async def test_a_result_reaches_its_receiver_signed_and_once(tenant: Tenant) -> None:
    await tenant.subscribe("request.completed")
    for _ in range(2):  # the record is read again
        await tenant.hear(result().value)
    assert (await tenant.send(), await tenant.send(3600), tenant.nudges) == (1, 0, 1)
    [got] = tenant.outlet.posted
    assert (got.url, got.headers["content-type"]) == ("https://wh_1.example", "application/json")
    assert orjson.loads(got.body)["data"] == orjson.loads(result().value)
    secret = shown(secret_key(PEPPER, "acme", "wh_1", b"s"))
    assert Webhook(secret).verify(got.body, dict(got.headers))["type"] == "request.completed"
    [line] = await tenant.log()
    assert (line.status, line.id) == ("delivered", got.headers["webhook-id"])
    assert "webhook-signature" not in line.attempts[0].request
    assert tenant.metrics.value("deliveries", outcome="delivered") == 1


async def test_a_tenant_without_endpoints_costs_no_delivery(tenant: Tenant) -> None:
    await tenant.hear(b"not even JSON", result().value)
    await tenant.endpoints.add(Endpoint("globex", "wh_2", "https://b.example", (), b"s", tenant.now))
    await tenant.hear(result().value)
    assert (await tenant.deliveries.backlog()).waiting == 0


async def test_a_new_endpoint_hears_of_the_next_record_without_a_restart(tenant: Tenant) -> None:
    await tenant.hear(result("before").value)
    await tenant.subscribe("request.completed")
    await tenant.hear(result("after").value)
    await tenant.endpoints.change("acme", "wh_1", Change(enabled=False))
    await tenant.hear(result("later").value)
    await tenant.endpoints.change("acme", "wh_1", Change(enabled=True))
    await tenant.send()
    assert [orjson.loads(got.body)["data"]["id"] for got in tenant.outlet.posted] == ["after"]


async def test_a_lifecycle_event_reaches_whoever_subscribed_to_it(tenant: Tenant) -> None:
    kind = orjson.loads(event().value)["type"]
    await tenant.subscribe(kind)
    await tenant.subscribe("batch.completed", id="wh_2")
    await tenant.hear(event().value, topic=EVENTS)
    await tenant.send()
    assert [got.url for got in tenant.outlet.posted] == ["https://wh_1.example"]


async def test_a_callback_is_sent_without_any_endpoint_and_signed(tenant: Tenant) -> None:
    await tenant.hear(result().value, callback="https://c.example/x?y=z")
    assert await tenant.send() == 1
    [got] = tenant.outlet.posted
    assert got.url == "https://c.example/x?y=z"
    Webhook(shown(secret_key(PEPPER, "acme", CALLBACKS, b""))).verify(got.body, dict(got.headers))


async def test_attempts_come_at_0s_5s_5m_30m_2h_5h_10h_14h_20h_24h_and_then_it_has_failed(tenant: Tenant) -> None:
    tenant.outlet.then = Heard(500, 0.0)
    await tenant.subscribe("request.completed")
    await tenant.hear(result().value)
    times = []
    for _ in range(10):
        assert await tenant.send() == 1
        times.append((tenant.now - START).total_seconds())
        [line] = await tenant.log()
        if line.next_attempt_at is None:
            break
        wait = (line.next_attempt_at - tenant.now).total_seconds()
        assert await tenant.send(wait - 0.001) == 0
        tenant.now += timedelta(milliseconds=1)
    waits = [b - a for a, b in pairwise(times)]
    assert waits == [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert (line.status, await tenant.send(10 * 86_400)) == ("failed", 0)
    whole = await tenant.deliveries.get("acme", "wh_1", line.id)
    assert whole is not None
    assert len(whole.attempts) == 10
    assert len({got.headers["webhook-id"] for got in tenant.outlet.posted}) == 1
    assert tenant.metrics.value("deliveries", outcome="exhausted") == 1


async def test_a_receiver_that_recovers_gets_what_it_missed(tenant: Tenant) -> None:
    tenant.outlet.script = [Heard(None, 15.0, error="did not answer in full within 15 s"), Heard(302, 0.1)]
    await tenant.subscribe("request.completed")
    await tenant.hear(result().value)
    assert await tenant.send() == 1
    row = await tenant.endpoints.get("acme", "wh_1")
    assert row is not None
    assert row.failing_since == START
    assert await tenant.send(30) + await tenant.send(400) == 2
    [line] = await tenant.log()
    assert line.status == "delivered"
    row = await tenant.endpoints.get("acme", "wh_1")
    assert row is not None
    assert row.failing_since is None


async def test_410_disables_the_endpoint_drops_what_waits_and_is_told(tenant: Tenant) -> None:
    await tenant.subscribe("request.completed")
    await tenant.hear(*(result(f"r{n}").value for n in range(20)))
    tenant.outlet.then = Heard(410, 0.0)
    for _ in range(5):
        await tenant.send(5)
    assert len(tenant.outlet.posted) <= 4  # those that were under way
    assert {line.status for line in await tenant.log()} == {"failed"}
    broker = MemoryBroker()
    with capture_logs() as written:
        for _ in range(2):
            await tell_of_disabled(tenant.endpoints, MemoryProducer(broker), tenant.metrics, tenant.now)
    [line] = written
    assert (line["event"], line["tenant"], line["endpoint"]) == ("webhook_disabled", "acme", "wh_1")
    [value] = broker.values(EVENTS)
    told = LifecycleEvent.model_validate_json(value)
    assert (told.type, told.data["endpoint"], told.data["reason"]) == ("webhook.disabled", "wh_1", "gone")
    tenant.outlet.then = Heard(200, 0.0)
    await tenant.endpoints.change("acme", "wh_1", Change(enabled=True))
    await tenant.hear(result("new").value)
    assert await tenant.send(10) == 1


async def test_five_days_of_failures_disable_the_endpoint(tenant: Tenant) -> None:
    tenant.outlet.then = Heard(500, 0.0)
    await tenant.subscribe("request.completed")
    for day in range(6):
        await tenant.hear(result(f"r{day}").value)
        await tenant.send(86_400)
    row = await tenant.endpoints.get("acme", "wh_1")
    assert row is not None
    assert (row.enabled, row.disabled) == (False, "failing")
    assert [one.id for one in await tenant.endpoints.untold()] == ["wh_1"]


async def test_retry_after_holds_the_delivery_back(tenant: Tenant) -> None:
    tenant.outlet.script = [Heard(503, 0.0, "3600")]
    await tenant.subscribe("request.completed")
    await tenant.hear(result().value)
    assert (await tenant.send(), await tenant.send(3_599), await tenant.send(1)) == (1, 0, 1)


async def test_what_a_dead_process_had_taken_is_sent_by_the_next(tenant: Tenant) -> None:
    await tenant.subscribe("request.completed")
    await tenant.hear(result().value)
    await tenant.deliveries.take(Wish({}, 4, 10, 1_000_000), tenant.now, tenant.now + timedelta(seconds=60))
    assert (await tenant.send(59), await tenant.send(1)) == (0, 1)


async def test_an_answer_is_settled_though_postgresql_is_away_for_a_moment(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.notify.sender.AGAIN_S", 0.0)
    settle, away = tenant.deliveries.settle, [Unavailable("away")] * 3

    async def sometimes(batch: Sequence[Settlement]) -> None:
        if away:
            raise away.pop()
        await settle(batch)

    tenant.deliveries.settle = sometimes  # type: ignore[method-assign]
    await tenant.subscribe("request.completed")
    await tenant.hear(result().value)
    assert await tenant.send() == 1
    assert [line.status for line in await tenant.log()] == ["delivered"]
    assert len(tenant.outlet.posted) == 1


async def test_the_process_sends_until_it_is_stopped_and_finishes_what_it_began(tenant: Tenant) -> None:
    await tenant.subscribe("request.completed")
    running = asyncio.ensure_future(tenant.sender.run())
    await tenant.hear(*(result(f"r{n}").value for n in range(30)))
    tenant.sender.nudge()
    async with asyncio.timeout(5):
        while len(tenant.outlet.posted) < 30:
            await asyncio.sleep(0)
    tenant.sender.stop()
    await running
    assert {line.status for line in await tenant.log()} == {"delivered"}
    await measure(tenant.deliveries, tenant.metrics, tenant.now, tenant.sender.held())
    assert tenant.metrics.value("deliveries_waiting") == 0


async def test_a_backlog_that_its_own_receiver_causes_is_not_the_senders_lateness(tenant: Tenant) -> None:
    async def late() -> float:
        await measure(tenant.deliveries, tenant.metrics, tenant.now, tenant.sender.held())
        return tenant.metrics.value("delivery_overdue_seconds")

    await tenant.subscribe("request.completed", id="dead")
    tenant.outlet.then = Heard(500, 0.01)
    await tenant.hear(*(result(f"r{n}").value for n in range(300)))
    for _ in range(80):  # six minutes and a half, in which no more than one in five seconds is tried
        await tenant.send(5)
        assert await late() == 0.0
    assert tenant.metrics.value("deliveries_waiting") == 300
    await tenant.subscribe("request.completed", id="well")
    await tenant.hear(result("r300").value)
    tenant.now += timedelta(seconds=400)
    assert await late() >= 400.0  # nobody sent meanwhile, and that is told
    await tenant.send()
    assert await late() == 0.0


class Hanging(MemoryOutlet):
    """Answers for healthy endpoints only."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Heard:
        heard = await super().post(url, headers, body)
        if "dead" in url:
            await asyncio.Event().wait()
        return heard


async def test_fifty_endpoints_that_never_answer_delay_nobody_else() -> None:
    tenant = Tenant(outlet=Hanging())
    await tenant.subscribe("request.completed", id="healthy")
    await tenant.hear(result("before").value)
    await tenant.sender.turn()
    await settled(tenant, 1)
    for number in range(50):
        await tenant.subscribe("request.completed", id=f"dead-{number}")
    for number in range(40):
        await tenant.hear(result(f"r{number}").value)
        tenant.now += timedelta(milliseconds=1)
        await tenant.sender.turn()
        await settled(tenant, number + 2)  # each in the first turn after it came
    hanging = [got for got in tenant.outlet.posted if "dead" in got.url]
    assert 16 <= len(hanging) <= 64
    tenant.sender.stop()


async def settled(tenant: Tenant, count: int) -> None:
    async with asyncio.timeout(5):
        while [one.status for one in await tenant.log("healthy")].count("delivered") < count:
            await asyncio.sleep(0)


async def test_large_results_are_neither_stored_nor_sent_all_at_once(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.notify.queueing.SIZE_AT_ONCE", 300_000)
    monkeypatch.setattr("agents.notify.sender.MOST_BYTES", 250_000)
    put, sizes = tenant.deliveries.put, []

    async def counted(batch: Sequence[Message], now: datetime) -> int:
        sizes.append(len(batch))
        return await put(batch, now)

    tenant.deliveries.put = counted  # type: ignore[method-assign]
    for id in ("wh_1", "wh_2"):
        await tenant.subscribe("request.completed", id=id)
    await tenant.hear(*(result(f"r{n}", output="x" * 100_000).value for n in range(5)))
    assert sizes == [3, 3, 3, 1]
    assert await tenant.sender.turn() == 3
    await tenant.sender.drained()
    assert await tenant.send() == 7


async def test_a_row_that_is_no_message_is_refused_and_its_neighbours_are_not(tenant: Tenant) -> None:
    await tenant.subscribe()
    items = [Item(RESULTS, 0, n, START, None, value) for n, value in enumerate([b"nope", result().value])]
    [refused] = await tenant.sink.write(items)
    assert (refused.item.offset, "not JSON" in refused.reason) == (0, True)
    assert (await tenant.deliveries.backlog()).waiting == 2
