"""The short way of the routes that start work: the same answers, one look at the limits for many who ask at once."""

import asyncio

from api.authentication import Caller
from api.limits.glance import Glance
from connectors.memory.limiter import MemoryLimiter
from domain.accounts.limits import Defaults, limits_of
from domain.admission.model import Charge, Look
from tests.api.door import ASK, Door, assert_problem, completed


class Counted(MemoryLimiter):
    """How often it was looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    async def peek(self, charge: Charge) -> Look:
        self.looks += 1
        await asyncio.sleep(0)
        return await super().peek(charge)


async def caller_of(door: Door) -> Caller:
    tenant = await door.accounts.tenant("acme")
    assert tenant is not None
    defaults = Defaults(600, 100)
    return Caller(tenant, door.issued.key, limits_of(tenant, door.issued.key, defaults.per_minute, defaults.burst))


async def test_many_who_ask_at_once_are_one_look_at_the_limits(door: Door) -> None:
    limiter, caller = Counted(), await caller_of(door)
    glance = Glance(limiter)
    seen = await asyncio.gather(*(glance.look(caller) for _ in range(50)))
    assert limiter.looks == 1
    assert seen[0] is not None
    assert {id(one) for one in seen} == {id(seen[0])}


async def test_who_leaves_takes_nobodys_look_away(door: Door) -> None:
    limiter, caller = Counted(), await caller_of(door)
    glance = Glance(limiter)
    first, second = (asyncio.ensure_future(glance.look(caller)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None


async def test_its_answers_are_counted_under_its_route(door: Door) -> None:
    assert (await door.ask(path="/v1/analyze/async")).status_code == 202
    assert_problem(await door.ask(b"{", path="/v1/analyze/async"), 422, "invalid_request")
    counted = [door.metrics.value("http_requests", route="/v1/analyze/async", status=one) for one in ("202", "422")]
    assert counted == [1, 1]


async def test_another_method_or_a_slash_takes_the_long_way(door: Door) -> None:
    assert_problem(await door.client.get("/v1/analyze/async"), 405, "method_not_allowed")
    assert (await door.ask(path="/v1/analyze/async/")).status_code in (307, 404)


async def test_its_large_answers_are_compressed_and_its_small_ones_are_not(door: Door) -> None:
    door.line.endings["large"] = completed("On its way. " * 500)
    large = await door.ask({**ASK, "id": "large"}, accept_encoding="gzip")
    assert (large.status_code, large.headers["content-encoding"]) == (200, "gzip")
    assert "accept-encoding" in large.headers["vary"].lower()
    assert large.json()["output"].startswith("On its way.")
    small = await door.ask(path="/v1/analyze/async", accept_encoding="gzip")
    assert (small.status_code, "content-encoding" in small.headers) == (202, False)
