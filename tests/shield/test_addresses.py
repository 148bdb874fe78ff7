"""Who a request is counted for, and what an address may send."""

from ipaddress import ip_network

import httpx
import pytest

from domain.accounts import keys
from domain.incoming.client import UNKNOWN, behind
from domain.incoming.rates import Rates
from tests.api.door import ASK, Door, assert_problem

OURS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("198.51.100.7", "", "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),  # nobody asked it
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),  # what is left of it, the client wrote
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9,", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:51234", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8:1:2:3::4]:443", "2001:db8:1:2::/64"),
        ("fd00::1", "2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:9::7", "", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("", "203.0.113.9", UNKNOWN),
    ],
)
def test_X_Forwarded_For_is_read_from_the_right(peer: str, forwarded: str, counted: str) -> None:
    assert behind(peer, forwarded, OURS) == counted


def test_a_rate_lets_its_burst_pass_and_then_one_after_the_other() -> None:
    rates = Rates(60, 3)
    for _ in range(3):
        assert rates.wait("a", 100.0) == 0
        rates.spend("a", 100.0)
    assert rates.wait("a", 100.0) == pytest.approx(1.0)
    assert rates.wait("b", 100.0) == 0
    assert rates.wait("a", 101.0) == 0
    rates.spend("a", 101.0)
    assert rates.wait("a", 101.5) == pytest.approx(0.5)


def test_a_flood_of_addresses_takes_no_memory() -> None:
    rates = Rates(60, 3, max_keys=100)
    for n in range(10_000):
        rates.spend(str(n), 0.0)
    assert len(rates._due) == 100


def client(door: Door, peer: str, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(door.app, raise_app_exceptions=False, client=(peer, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://door", headers=headers)


def limited(**settings: object) -> Door:
    door = Door()
    door.settings = door.settings.model_copy(update=settings)
    return door


async def test_an_address_that_sends_too_much_gets_429_and_others_do_not() -> None:
    door = limited(address_requests_per_minute=1, address_burst=3)  # one comes back a minute: no test takes so long
    async with door.opened(), client(door, "198.51.100.7") as one, client(door, "198.51.100.8") as other:
        answers = [await one.get("/openapi.json") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert_problem(answers[4], 429, "rate_limited")
        assert 1 <= int(answers[4].headers["retry-after"]) <= 60
        assert (await other.get("/openapi.json")).status_code == 200
        assert (await one.get("/healthz")).status_code == 200, "probes are answered"
        assert_problem(await one.post("/v1/analyze", json=ASK, headers=door.bearer()), 429, "rate_limited")
    assert door.produced() == []


async def test_behind_a_proxy_each_client_is_counted_and_none_can_choose_its_address() -> None:
    door = limited(address_requests_per_minute=1, address_burst=2, trusted_proxies="10.0.0.0/8")
    async with door.opened(), client(door, "10.0.0.1") as proxy:
        seen = []
        for n in range(4):
            forged = {"x-forwarded-for": f"192.0.2.{n}, 198.51.100.7"}
            seen.append((await proxy.get("/openapi.json", headers=forged)).status_code)
        assert seen == [200, 200, 429, 429]
        other = {"x-forwarded-for": "198.51.100.8"}
        assert (await proxy.get("/openapi.json", headers=other)).status_code == 200


async def test_who_tries_keys_is_stopped_before_they_are_looked_up() -> None:
    async with limited(address_failures_per_minute=5).opened() as door, client(door, "198.51.100.7") as one:
        wrong = [{"authorization": f"Bearer {keys.generate()}"} for _ in range(8)]
        assert (await one.get("/v1/models", headers=door.bearer())).status_code == 200
        answers = [await one.get("/v1/models", headers=headers) for headers in wrong]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3
        assert (await one.get("/v1/models")).status_code == 429
        # a good key that was seen before goes on, from the same address too
        assert (await one.get("/v1/models", headers=door.bearer())).status_code == 200
        async with client(door, "198.51.100.8") as other:
            assert (await other.get("/v1/models", headers=door.bearer(door.other))).status_code == 200
