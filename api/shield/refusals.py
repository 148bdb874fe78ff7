"""Who was refused, in the log: enough to find an attacker, and no more lines than somebody reads."""

import time
from collections.abc import Callable

import structlog
from starlette.types import Scope

from api.refusing import REQUEST_ID
from api.shield.peers import CLIENT
from domain.incoming.rates import Rates

log = structlog.get_logger("shield")

TOLD = frozenset({401, 403, 408, 413, 415, 429})
"""Statuses of refusals. Other errors are those of callers who may call, and have their metrics."""
LINES_A_MINUTE = 60


class Refusals:
    """A line a minute of an address and a status, and `LINES_A_MINUTE` in all: a flood does not become one of the log.

    `untold` is how many refusals, of whomever, had no line since the one before.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._each = Rates(per_minute=1, burst=1)
        self._all = Rates(LINES_A_MINUTE, LINES_A_MINUTE)
        self._untold = 0

    def note(self, scope: Scope, status: int, route: str) -> None:
        """`route` is what the metrics say: a path may hold anything."""
        address, now = scope[CLIENT].address, self._clock()
        key = f"{address} {status}"
        if self._each.wait(key, now) or self._all.wait("", now):
            self._untold += 1
            return
        self._each.spend(key, now)
        self._all.spend("", now)
        log.warning(
            "refused", address=address, status=status, method=scope["method"][:16], route=route,
            request_id=scope[REQUEST_ID], untold=self._untold,
        )  # fmt: skip
        self._untold = 0
