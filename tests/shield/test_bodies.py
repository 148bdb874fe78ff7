"""Bodies that are on their way have so much memory and no more, and nobody takes what others need."""

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from api.authentication import SCOPE
from api.bodies import whole
from api.deadlines import Deadlines
from api.middleware import BodyBounds, BodyLimit
from api.problems import Problem
from api.refusing import discard
from api.shield.bodies import SMALL, Bodies, counted
from api.within import GIVE_UP_AT

MEGA = 1 << 20


class Sender:
    """A client that sends what it has, and the rest when it is told to."""

    def __init__(self, tenant: str | None) -> None:
        self.scope: Scope = {"type": "http", "method": "POST", "headers": [], GIVE_UP_AT: 0.0}
        if tenant is not None:
            self.scope[SCOPE] = SimpleNamespace(tenant=SimpleNamespace(name=tenant))
        self.rest = asyncio.Event()
        self._said = False

    async def receive(self) -> Message:
        if not self._said:
            self._said = True
            return {"type": "http.request", "body": b"{", "more_body": True}
        await self.rest.wait()
        return {"type": "http.request", "body": b"}", "more_body": False}


async def read(scope: Scope, receive: Receive, _: Send) -> None:
    assert await whole(Request(scope, receive)) == b"{}"


async def thrown_away(scope: Scope, receive: Receive, _: Send) -> None:
    await discard(scope, receive)


async def _unsent(message: Message) -> None:
    """Nothing is answered here."""


def sent(bodies: Bodies, sender: Sender, app: Any = read) -> "asyncio.Future[None]":
    work: Awaitable[None] = counted(app, bodies, MEGA, sender.scope, sender.receive, _unsent)
    return asyncio.ensure_future(work)


@pytest.fixture
def bodies() -> Bodies:
    return Bodies(most=4 * MEGA, share=2 * MEGA, largest=MEGA)


async def test_a_tenant_has_its_share_and_others_have_theirs(bodies: Bodies) -> None:
    slow = [Sender("acme") for _ in range(3)]
    first, second, third = [sent(bodies, sender) for sender in slow]
    slow[2].rest.set()
    with pytest.raises(Problem, match="on their way already") as refused:
        await third
    assert (refused.value.code, refused.value.headers["retry-after"]) == ("rate_limited", "1")
    others = [sent(bodies, Sender("other")) for _ in range(2)]
    await asyncio.sleep(0)
    assert bodies.lent == 4 * MEGA
    early, late = Sender("third"), Sender("third")
    early.rest.set()
    late.rest.set()
    with pytest.raises(Problem, match="too many bodies"):
        await sent(bodies, early)
    slow[0].rest.set()
    await first
    await sent(bodies, late)
    for work in (second, *others):
        work.cancel()
    await asyncio.gather(second, *others, return_exceptions=True)
    assert bodies.lent == 0, "one that nobody waits for any more still counts"


async def test_strangers_take_no_room_from_those_who_have_a_key(bodies: Bodies) -> None:
    """Senders of signed events have none; what is thrown away unread is in nobody's memory."""
    strangers = [sent(bodies, Sender(None)) for _ in range(2)]
    refused = [sent(bodies, Sender(None), thrown_away) for _ in range(9)]
    await asyncio.sleep(0)
    assert bodies.lent == 2 * MEGA
    tenants = [sent(bodies, Sender(tenant)) for tenant in ("acme", "acme", "other", "other")]
    await asyncio.sleep(0)
    assert bodies.lent == 6 * MEGA
    assert not any(work.done() for work in (*strangers, *refused, *tenants))
    for work in (*strangers, *refused, *tenants):
        work.cancel()


def test_small_bodies_are_not_counted(bodies: Bodies) -> None:
    assert [bodies.size("POST", size) for size in (0, SMALL, SMALL + 1, MEGA)] == [0, 0, SMALL + 1, MEGA]
    assert (bodies.size("POST", None), bodies.size("GET", None)) == (MEGA, 0)


async def test_the_time_that_a_body_takes_to_come_is_not_that_of_our_dependencies() -> None:
    bounds = BodyBounds(largest=MEGA, seconds=5.0, most=4 * MEGA, share=2 * MEGA)
    sender, loop = Sender("acme"), asyncio.get_running_loop()
    loop.call_later(0.05, sender.rest.set)
    await BodyLimit(read, bounds, Deadlines())(sender.scope, sender.receive, _unsent)
    assert sender.scope[GIVE_UP_AT] >= 0.045
