"""Reads a caller's own limits and what is left of them."""

import orjson

from api.authentication import Caller
from api.limits.fields import flights, name_of
from api.within import PATIENCE_S, within
from domain.admission.model import Charge
from domain.ports import Limiter


class LimitReader:
    """Raises Problem (unavailable) when Redis does not answer."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    async def page(self, caller: Caller) -> bytes:
        """The body of the answer: there are few limits, and one page holds them all."""
        look = await within(self._limiter.peek(Charge(caller.limits, gates=caller.gates)), PATIENCE_S, "the limiter")
        items: list[dict[str, object]] = [
            {
                "name": name_of(limit.key),
                "unit": limit.unit,
                "per_minute": limit.per_minute,
                "burst": limit.burst,
                "remaining": left.remaining,
                "reset_s": round(left.reset, 3),
            }
            for limit, left in zip(caller.limits, look.left, strict=True)
        ]
        items += [
            {
                "name": name,
                "unit": "concurrent_requests",
                "places": places,
                "in_flight": count,
                "remaining": max(0, places - count),
            }
            for name, places, count in flights(caller, look)
        ]
        return orjson.dumps({"items": items, "next_cursor": None, "plan": caller.tenant.plan})
