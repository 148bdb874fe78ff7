"""From a record to a tenant's bucket: one object for many, on a real store and on a clock that the tests turn."""

import gzip
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import orjson
import pytest

from agents.notify.queueing import QueueSink
from agents.notify.sender import Sender, SenderPorts
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.webhooks import MemoryDeliveries, MemoryEndpoints, MemoryOutlet
from connectors.webhook.outlet import HttpOutlet
from domain.errors import Permanent
from domain.ports import Item, Outlet
from domain.webhooks.kinds import Bucket
from domain.webhooks.model import Change, Endpoint, Queued
from domain.webhooks.schedule import Heard
from domain.webhooks.sealing import seal, unseal
from domain.webhooks.view import destination
from tests import s3
from tests.contract.messages import result
from topics.table import RESULTS

PEPPER = b"p" * 32
NOW = datetime.now(UTC)
LOOPBACK = (ip_network("127.0.0.0/8"),)


class Tenant:
    """With a bucket, and a webhook beside it."""

    def __init__(self, outlet: Outlet, bucket: Bucket, secret: str = s3.SECRET) -> None:
        self.now = NOW
        self.endpoints = MemoryEndpoints()
        self.deliveries = MemoryDeliveries(self.endpoints)
        self.sink = QueueSink(self.endpoints, self.deliveries, lambda: self.now, lambda: None)
        ports = SenderPorts(
            self.endpoints, self.deliveries, outlet, MemoryMetrics(), PEPPER, lambda: self.now,
            self.seconds, lambda: 0.0,
        )  # fmt: skip
        self.sender = Sender(ports, 64)
        sealed = seal(PEPPER, "acme", "s3_1", secret)
        self.bucket = Endpoint(
            "acme", "s3_1", bucket.url, ("request.completed",), b"s", NOW, ("output",),
            kind="s3", bucket=bucket, sealed=sealed,
        )  # fmt: skip

    def seconds(self) -> float:
        return (self.now - NOW).total_seconds()

    async def hear(self, *ids: str) -> None:
        items = [Item(RESULTS, 0, n, self.now, None, result(id).value) for n, id in enumerate(ids)]
        assert await self.sink.write(items) == []

    async def send(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        while await self.sender.turn():
            await self.sender.drained()

    async def state(self) -> dict[str, object]:
        one = await self.endpoints.get("acme", "s3_1")
        assert one is not None
        queued = await self.deliveries.queued("acme", ["s3_1"], 9_999)
        return dict(destination(one, queued.get("s3_1", Queued())))


@pytest.fixture(scope="module", params=["moto", "versitygw"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Store]:
    if request.param == "versitygw" and s3.program() is None:
        pytest.skip("versitygw is not installed")
    with s3.moto() if request.param == "moto" else s3.versitygw(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
async def outlet() -> AsyncIterator[HttpOutlet]:
    found = HttpOutlet(LOOPBACK, 8)
    yield found
    await found.close()


def at(url: str, name: str = "answers") -> Bucket:
    return Bucket(name, "us-east-1", s3.ACCESS, url, "from us", 60)


def lines(body: bytes) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in gzip.decompress(body).splitlines()]


async def test_what_came_in_a_minute_is_one_object_in_the_tenants_bucket(store: s3.Store, outlet: HttpOutlet) -> None:
    client = store.client()
    client.create_bucket(Bucket="answers")
    tenant = Tenant(outlet, at(store.url))
    await tenant.endpoints.add(tenant.bucket)
    await tenant.hear("r1", "r2")
    await tenant.send(30)
    await tenant.hear("r3")
    assert "Contents" not in client.list_objects_v2(Bucket="answers")
    await tenant.send(30)
    [found] = client.list_objects_v2(Bucket="answers")["Contents"]
    assert found["Key"].startswith("from us/date=")
    rows = lines(client.get_object(Bucket="answers", Key=found["Key"])["Body"].read())
    assert sorted(row["data"]["id"] for row in rows) == ["r1", "r2", "r3"]  # type: ignore[index]
    assert set(rows[0]["data"]) == {"id", "tenant", "run", "status", "output"}  # type: ignore[call-overload]
    assert len({row["delivery_id"] for row in rows}) == 3
    state = await tenant.state()
    assert (state["state"], state["waiting"], state["last_error"]) == ("working", 0, None)


async def test_a_bucket_that_is_missing_is_a_clear_status_and_nothing_is_lost(
    store: s3.Store, outlet: HttpOutlet
) -> None:
    client = store.client()
    tenant = Tenant(outlet, at(store.url, "missing"))
    await tenant.endpoints.add(tenant.bucket)
    await tenant.hear("r1")
    await tenant.send(60)
    state = await tenant.state()
    assert (state["state"], state["waiting"]) == ("failing", 1)
    error = state["last_error"]
    assert isinstance(error, dict)
    assert "NoSuchBucket" in error["what"]
    assert "create the bucket" in error["remedy"]
    client.create_bucket(Bucket="missing")
    await tenant.send(10)
    assert (await tenant.state())["state"] == "working"
    assert len(client.list_objects_v2(Bucket="missing")["Contents"]) == 1


async def test_credentials_that_are_wrong_are_told_and_right_ones_send_what_waits(tmp_path: Path) -> None:
    if s3.program() is None:
        pytest.skip("versitygw is not installed: moto takes any secret")
    outlet = HttpOutlet(LOOPBACK, 8)
    with s3.versitygw(tmp_path) as store:
        store.client().create_bucket(Bucket="answers")
        tenant = Tenant(outlet, at(store.url), secret="another")
        await tenant.endpoints.add(tenant.bucket)
        await tenant.hear("r1")
        await tenant.send(60)
        error = (await tenant.state())["last_error"]
        assert isinstance(error, dict)
        assert "SignatureDoesNotMatch" in error["what"]
        await tenant.endpoints.change("acme", "s3_1", Change(sealed=seal(PEPPER, "acme", "s3_1", s3.SECRET)))
        await tenant.send(10)
        assert (await tenant.state())["state"] == "working"
    await outlet.close()


async def test_an_endpoint_in_a_private_network_is_not_called_and_the_webhook_beside_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outlet = HttpOutlet((), 8)
    heard = await outlet.store(at("http://169.254.169.254"), s3.SECRET, "k", b"{}")
    assert (heard.status, heard.forbidden) == (None, True)
    await outlet.close()


async def test_a_bucket_that_never_answers_delays_no_webhook() -> None:
    outlet = MemoryOutlet()
    tenant = Tenant(outlet, at("https://s3.example"))
    await tenant.endpoints.add(tenant.bucket)
    await tenant.endpoints.add(Endpoint("acme", "wh_1", "https://a.example", (), b"s", NOW))

    async def fails(bucket: Bucket, secret: str, key: str, body: bytes) -> Heard:
        return Heard(None, 30.0, error="https://s3.example:443 did not answer in full within 30 s")

    outlet.store = fails  # type: ignore[method-assign]
    await tenant.hear(*(f"r{n}" for n in range(50)))
    await tenant.send(60)
    kinds = [orjson.loads(got.body)["type"] for got in outlet.posted]
    assert kinds.count("request.completed") == 50
    state = await tenant.state()
    assert (state["state"], state["waiting"]) == ("failing", 50)


async def test_the_same_deliveries_are_the_same_object_with_the_same_bytes() -> None:
    outlet = MemoryOutlet(script=[Heard(500, 0.1)])
    tenant = Tenant(outlet, at("https://s3.example"))
    await tenant.endpoints.add(tenant.bucket)
    await tenant.hear("r1", "r2")
    await tenant.send(60)
    await tenant.send(10)
    first, second = outlet.stored
    assert first == second
    assert first.secret == s3.SECRET


def test_credentials_open_with_the_pepper_and_in_their_place_alone() -> None:
    sealed = seal(PEPPER, "acme", "s3_1", "a secret")
    assert b"secret" not in sealed
    assert sealed != seal(PEPPER, "acme", "s3_1", "a secret")
    assert unseal(PEPPER, "acme", "s3_1", sealed) == "a secret"
    for pepper, tenant, id in [(b"q" * 32, "acme", "s3_1"), (PEPPER, "globex", "s3_1"), (PEPPER, "acme", "s3_2")]:
        with pytest.raises(Permanent):
            unseal(pepper, tenant, id, sealed)


async def test_another_pepper_is_a_clear_status() -> None:
    tenant = Tenant(MemoryOutlet(), at("https://s3.example"))
    await tenant.endpoints.add(replace(tenant.bucket, sealed=seal(b"q" * 32, "acme", "s3_1", "x")))
    await tenant.hear("r1")
    await tenant.send(60)
    error = (await tenant.state())["last_error"]
    assert isinstance(error, dict)
    assert "PATCH the destination with its credentials" in error["remedy"]
