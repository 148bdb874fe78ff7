"""Rate limits as a token bucket, with the headers real providers send.

OpenAI's documentation ("Rate limits", headers) is the source: `reset` is the time until the bucket is full again, in
Go's duration notation; `retry-after` is in whole seconds, `retry-after-ms` says it exactly.
"""

import math


class Bucket:
    """Holds up to `capacity` tokens and gains `rate` of them a second; times are seconds of any monotonic clock."""

    def __init__(self, capacity: float, rate: float, now: float) -> None:
        self.capacity = capacity
        self.rate = rate
        self._level = capacity
        self._at = now

    def level(self, now: float) -> float:
        """The tokens there are; below zero when more were taken than it holds."""
        # `now` may be from a moment before it was made
        self._level = min(self.capacity, self._level + max(0.0, now - self._at) * self.rate)
        self._at = max(self._at, now)
        return self._level

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken, 0 when now; what exceeds the capacity needs a full bucket."""
        # A billionth is forgiven, so that waiting exactly as long as told is enough in floating point.
        return max(0.0, (min(amount, self.capacity) - self.level(now) - 1e-9) / self.rate)

    def take(self, amount: float, now: float) -> None:
        """Takes `amount`, into debt if need be."""
        self._level = self.level(now) - amount

    def headers(self, unit: str, now: float) -> dict[str, str]:
        """`x-ratelimit-{limit,remaining,reset}-{unit}`, and Anthropic's names for limit and remaining."""
        level = self.level(now)
        limit, remaining = str(math.floor(self.capacity)), str(max(0, math.floor(level + 1e-9)))
        return {
            f"x-ratelimit-limit-{unit}": limit,
            f"x-ratelimit-remaining-{unit}": remaining,
            f"x-ratelimit-reset-{unit}": duration((self.capacity - level) / self.rate),
            f"anthropic-ratelimit-{unit}-limit": limit,
            f"anthropic-ratelimit-{unit}-remaining": remaining,
        }


def retry_after(seconds: float) -> dict[str, str]:
    """The headers that tell a client how long to wait."""
    return {"retry-after": str(max(1, math.ceil(seconds))), "retry-after-ms": str(math.ceil(seconds * 1000))}


def duration(seconds: float) -> str:
    """Go's notation of a time: "120ms", "1.5s", "2m3s"."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return (f"{int(minutes)}m" if minutes else "") + f"{round(rest, 3):g}s"
