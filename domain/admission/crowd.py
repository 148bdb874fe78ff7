"""Whether one floods a lane in which others come singly. Pure: times are given, in seconds."""

from collections.abc import Collection

FLOOD = 8
"""Calls that wait, for each tenant that is here, from which on they are a flood and not the coming of many."""
SELDOM = 2
"""Who comes so many times less often than those who are here on average comes singly."""


class Crowd:
    """Who was here lately: came, or was served; and how many calls came of each.

    All verbs take constant time, seen over many of them; only to see who comes singly takes a look at each tenant.
    """

    def __init__(self, recently: float) -> None:
        self._recently = recently
        self._seen: dict[bytes, float] = {}  # the one that was seen longest ago first
        self._came: dict[bytes, int] = {}
        self._before: dict[bytes, int] = {}
        self._total = 0
        self._since = float("-inf")

    def came(self, tenant: bytes, now: float) -> None:
        """One call of it. Counted over what passed of a period of `recently`, and the one before it."""
        if now - self._since >= self._recently:
            lately = now - self._since < 2 * self._recently
            self._before, self._came = self._came if lately else {}, {}
            self._total, self._since = sum(self._before.values()), now
        self._came[tenant] = self._came.get(tenant, 0) + 1
        self._total += 1
        self.saw(tenant, now)

    def saw(self, tenant: bytes, now: float) -> None:
        """It is here: one of its calls began."""
        self._seen.pop(tenant, None)
        self._seen[tenant] = now

    def singly(self, tenant: bytes) -> bool:
        """Whether it comes much less often than the others."""
        count = self._came.get(tenant, 0) + self._before.get(tenant, 0)
        return SELDOM * len(self._seen) * count <= self._total

    def flooded(self, now: float, holding: Collection[bytes], waiting: int) -> bool:
        """Whether one who comes singly is here and has nothing in the queue, beside others who have too much there.

        holding: the tenants with something in the queue. waiting: calls in it, and in hand.
        """
        here = self._here(now)
        if here <= max(1, len(holding)) or waiting <= FLOOD * here:
            return False
        return any(one not in holding and self.singly(one) for one in self._seen)

    def _here(self, now: float) -> int:
        seen, moment = self._seen, now - self._recently
        while seen:
            oldest = next(iter(seen))
            if seen[oldest] > moment:
                break
            del seen[oldest]
        return len(seen)
