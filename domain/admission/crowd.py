"""Whether one floods a lane in which others come singly. Pure: times are given, in seconds."""

FLOOD = 8
"""Calls that wait, for each tenant that is here, from which on they are a flood and not the coming of many."""


class Crowd:
    """Who was here lately: came, or was served. All verbs take constant time, seen over many of them."""

    def __init__(self, recently: float) -> None:
        self._recently = recently
        self._seen: dict[bytes, float] = {}  # the one that was seen longest ago first

    def saw(self, tenant: bytes, now: float) -> None:
        self._seen.pop(tenant, None)
        self._seen[tenant] = now

    def flooded(self, now: float, holding: int, waiting: int) -> bool:
        """Whether somebody is here who has nothing in the queue, beside others who have too much there.

        holding: tenants with something in the queue. waiting: calls in it, and in hand.
        """
        here = self._here(now)
        return here > max(1, holding) and waiting > FLOOD * here

    def _here(self, now: float) -> int:
        seen, moment = self._seen, now - self._recently
        while seen:
            oldest = next(iter(seen))
            if seen[oldest] > moment:
                break
            del seen[oldest]
        return len(seen)
