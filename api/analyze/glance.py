"""A look at the rate limits before any work is done. Only intake spends them; this saves a refused request its way."""

import time
from collections.abc import Callable

from api import problems
from api.authentication import Caller
from api.problems import Problem
from domain.admission.model import Charge
from domain.errors import Transient
from domain.ports import Limiter

FREE_FOR_S = 0.1  # who had room a moment ago is not looked at again: intake rejects what slips through
MAX_REMEMBERED = 10_000


class Glance:
    """`clock` gives monotonic seconds."""

    def __init__(self, limiter: Limiter, clock: Callable[[], float] = time.monotonic) -> None:
        self._limiter = limiter
        self._clock = clock
        self._free_until: dict[str, float] = {}

    async def check(self, caller: Caller) -> None:
        """Raises Problem (rate_limited) when the caller has no room now; a limiter that is down lets everybody pass."""
        now = self._clock()
        if self._free_until.get(caller.key.id, now) > now:
            return
        try:
            wait = await self._limiter.peek(Charge(caller.limits, reject=True))
        except Transient:
            return
        if wait > 0:
            raise rate_limited(caller, wait)
        if len(self._free_until) >= MAX_REMEMBERED:
            self._free_until.clear()
        self._free_until[caller.key.id] = now + FREE_FOR_S


def rate_limited(caller: Caller, wait: float) -> Problem:
    """429 with the fields of draft-ietf-httpapi-ratelimit-headers; `r` is 0, since the wait is all that is known."""
    limit = caller.limits[-1]
    name = "key" if len(caller.limits) > 1 else "tenant"
    retry = problems.retry_header(wait)
    fields = {
        **retry,
        "ratelimit-policy": f'"{name}";q={limit.per_minute};w=60',
        "ratelimit": f'"{name}";r=0;t={retry["retry-after"]}',
    }
    detail = f"the limit of {limit.per_minute} requests a minute is used up; try again in {retry['retry-after']} s"
    return Problem("rate_limited", detail, headers=fields)
