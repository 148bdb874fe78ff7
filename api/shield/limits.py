"""Limits of a client's address, beside those of tenants and keys. Plain ASGI, as api/middleware.py.

They are kept in this process: a flood is refused without asking anybody, and an address has the limit once in each
instance of the API.
"""

import time
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from api import problems
from api.problems import Problem
from api.refusing import refuse
from api.shield.peers import CLIENT
from domain.incoming.rates import Rates

ALWAYS = frozenset({"/healthz", "/readyz"})
"""A flood from a load balancer that is not in the list of proxies must not make it take the instance out."""


class AddressLimits:
    """Answers 429 where an address sends more than it may."""

    def __init__(self, app: ASGIApp, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._rates = rates
        self._clock = clock

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and scope["path"] not in ALWAYS:
            address, now = scope[CLIENT].address, self._clock()
            wait = self._rates.wait(address, now)
            if wait:
                return refuse(scope, receive, send, too_many(wait, "requests"))
            self._rates.spend(address, now)
        return self._app(scope, receive, send)


class Failures:
    """How often keys were refused, by address."""

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._clock = clock

    def objection(self, address: str) -> Problem | None:
        """Where an address failed so often that an unknown key of it is not looked up."""
        wait = self._rates.wait(address, self._clock())
        return too_many(wait, "requests without a good API key") if wait else None

    def count(self, address: str) -> None:
        self._rates.spend(address, self._clock())


def too_many(wait: float, what: str) -> Problem:
    retry = problems.retry_header(wait)
    return Problem(
        "rate_limited", f"too many {what} from this address; try again in {retry['retry-after']} s", headers=retry
    )
