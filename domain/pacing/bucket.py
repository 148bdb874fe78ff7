"""The bucket of one deployment: what is learnt of its limit and which calls may go. Pure; times are seconds.

A provider's limit is a bucket of `capacity` that is refilled by `rate` a second. Where the provider tells its limit it
is taken as told. Where it tells nothing, the pace begins low and rises quickly while calls wait, so that few are under
way when the first is refused (slow start); who refuses none is open. From the first refusal on the pace is found by
additive increase and multiplicative decrease. connectors/redis/pace.lua does the same on Redis's clock.
"""

import math
from dataclasses import dataclass, field

from domain.pacing.model import Heard, Mode
from domain.pacing.told import Gauge

LONGEST_BLOCK = 300.0
LEAST_RATE = 0.1
OPEN_FROM = 2_000.0
"""A pace that was found and grew beyond so many calls a second is no limit any more."""
RISE_FROM, RISE_BURST = 30.0, 4.0
RISE_BY = 3.0
"""Where nothing was refused yet: calls a second at first, calls at once, and what a call a second grows by a second.

The twentieth of many calls goes at about 80 a second then: what a refusal needs to be known to all, some 40 ms, is the
time of three calls.
"""
PROVEN = 200.0
"""Who was called so often a second and refused nothing is open: 0.6 s after the first of many calls."""
AGAIN_FROM, AGAIN_BY = 40.0, 6.0
"""Who was open before and proves it again rises faster: it is open after 0.3 s."""
SLACK = PROVEN / 8
"""Who was called less often in the last second or so has to prove it again; who is called more often, and nobody waits,
is open without a proof."""
USUAL = 2.0
"""Times what it reached it may always be called: nobody who comes evenly waits for a proof."""
SUSTAINED = 0.85
"""Of what was reached when the first call was refused; the rest was in the provider's bucket, or was refused too."""
LONGEST_STEP_S = 0.1
"""It rises for so long after a question; who waits for several calls asks more often."""
FELT_BURST_S = 0.25
CUT_EVERY_S = 0.5
"""Calls that were refused so soon after a cut were sent before it."""
BACK_S = 2.5
"""Who waits elsewhere is back before those that stay, four seconds' worth of calls, are gone."""
RESERVE = 0.1
MOST_RESERVE = 2.0
"""Tokens left in the provider's bucket, as a share and at most: calls do not arrive exactly when they were sent."""


@dataclass(slots=True)
class Bucket:
    """State of a deployment. `level` and `token_level` are as of `at`; nothing goes before `until`.

    `probes` calls went since `since` while nothing was known. `ceiling` is the pace that was refused last, 0 where none
    was, `cut` when. `reached` calls went in about the last second; `short`: some wait since the last question;
    `opened`: it was open once.
    `back` is when the next call that waits elsewhere shall be back.
    `tags` and `virtual` order the lanes by weight (share.py).
    """

    mode: Mode = Mode.UNKNOWN
    at: float = 0.0
    since: float = 0.0
    probes: int = 0
    rate: float = 0.0
    capacity: float = 0.0
    level: float = 0.0
    token_rate: float = 0.0
    token_capacity: float = 0.0
    token_level: float = 0.0
    until: float = 0.0
    ceiling: float = 0.0
    cut: float = -CUT_EVERY_S
    back: float = 0.0
    reached: float = 0.0
    short: bool = False
    opened: bool = False
    virtual: float = 0.0
    tags: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    @property
    def limited(self) -> bool:
        """Whether a limit is known."""
        return self.mode is Mode.TOLD or (self.mode is Mode.FELT and self.ceiling > 0)

    @property
    def rising(self) -> bool:
        """Whether no limit is known, and more calls were not tried yet."""
        return self.mode is Mode.FELT and self.ceiling == 0

    @property
    def reserve(self) -> float:
        """Tokens that are not given out."""
        return max(0.0, min(MOST_RESERVE, RESERVE * self.capacity, self.capacity - 1))


def advance(bucket: Bucket, now: float, went: int = 0) -> None:
    """Refill it up to `now`; a pace that was found grows. `went` calls were not asked for since the last time."""
    passed, bucket.at = max(0.0, now - bucket.at), now
    bucket.reached = bucket.reached * math.exp(-passed) + went
    if bucket.mode is Mode.OPEN or bucket.rising:
        _rise(bucket, passed)
    elif bucket.mode is Mode.FELT:
        _grow(bucket, min(passed, 1.0))
    bucket.level = min(bucket.capacity, bucket.level + passed * bucket.rate)
    bucket.token_level = min(bucket.token_capacity, bucket.token_level + passed * bucket.token_rate)


def hear(bucket: Bucket, heard: Heard, now: float) -> None:
    """Learn from how a call ended."""
    if heard.limited:
        _refused(bucket, heard, now)
    elif heard.told is not None:
        _tell(bucket, heard)
    elif bucket.mode is Mode.TOLD:
        # it names no limit any more: the pace rises from what it was
        bucket.mode, bucket.ceiling = Mode.FELT, 0.0
        bucket.token_rate = bucket.token_capacity = bucket.token_level = 0.0
    elif bucket.mode is Mode.UNKNOWN:
        bucket.level = RISE_BURST
        _set_rising(bucket, max(RISE_FROM, heard.calls_a_second))
        if heard.calls_a_second >= PROVEN:
            bucket.reached = heard.calls_a_second


def send_away(bucket: Bucket, count: int, now: float) -> float:
    """In how many seconds the first of `count` calls shall be back; as many come a second as may go."""
    start = max(bucket.back, bucket.until, now + BACK_S)
    if count:
        bucket.back = start + (count / bucket.rate if bucket.limited else 0.0)
    return start - now


def _refused(bucket: Bucket, heard: Heard, now: float) -> None:
    if heard.told is not None:
        _tell(bucket, heard)
    elif not bucket.limited:
        reached = max(bucket.reached, heard.calls_a_second, 1.0)
        # what an open one reached nobody has counted for the fleet: its limit may be far from what is seen here
        bucket.ceiling = SUSTAINED * reached if bucket.rising else OPEN_FROM
        bucket.mode, bucket.cut = Mode.FELT, now
        _set_felt(bucket, reached / 2)
    elif now - bucket.cut >= CUT_EVERY_S:
        bucket.mode, bucket.cut, bucket.ceiling = Mode.FELT, now, bucket.rate
        _set_felt(bucket, max(bucket.rate / 2, LEAST_RATE))
    bucket.level = min(bucket.level, 0.0)
    if heard.retry_after is not None:
        bucket.until = max(bucket.until, now + min(heard.retry_after, LONGEST_BLOCK))


def _tell(bucket: Bucket, heard: Heard) -> None:
    known = bucket.mode is Mode.TOLD
    if not known:
        bucket.rate = bucket.capacity = bucket.token_rate = bucket.token_capacity = 0.0
    bucket.mode = Mode.TOLD
    if heard.told is not None and heard.told.requests is not None:
        gauge = heard.told.requests
        bucket.rate, bucket.capacity, bucket.level = _told(
            gauge, heard.latency, bucket.rate, bucket.capacity, bucket.level
        )
    elif not known:
        # only tokens are limited: calls are as many as they allow
        bucket.rate = bucket.capacity = bucket.level = OPEN_FROM
    if heard.told is not None and heard.told.tokens is not None:
        gauge = heard.told.tokens
        bucket.token_rate, bucket.token_capacity, bucket.token_level = _told(
            gauge, heard.latency, bucket.token_rate, bucket.token_capacity, bucket.token_level
        )


def _told(gauge: Gauge, age: float, rate: float, capacity: float, level: float) -> tuple[float, float, float]:
    """Rate, capacity and level after a gauge that is `age` seconds old: since then it can only have filled by so much.

    What is told may be lower than what we count, since others use the same key; calls in flight make it higher.
    """
    new = capacity != gauge.limit
    rate = gauge.rate or (rate if not new else gauge.limit / 60.0)
    most = gauge.remaining if new else min(gauge.limit, gauge.remaining + rate * age)
    return rate, gauge.limit, most if capacity == 0.0 else min(level, most)


def _set_felt(bucket: Bucket, rate: float) -> None:
    bucket.rate = rate
    bucket.capacity = max(1.0, rate * FELT_BURST_S)
    bucket.level = min(bucket.level, bucket.capacity)


def _set_rising(bucket: Bucket, rate: float) -> None:
    bucket.mode = Mode.OPEN if rate >= PROVEN else Mode.FELT
    bucket.opened = bucket.opened or bucket.mode is Mode.OPEN
    bucket.rate, bucket.ceiling, bucket.capacity = rate, 0.0, RISE_BURST


def _rise(bucket: Bucket, passed: float) -> None:
    """As fast as it is used, which says that it may be; what is not used any more is not proven any more."""
    used = USUAL * bucket.reached
    if bucket.mode is Mode.OPEN:
        if bucket.reached < SLACK:
            bucket.level = RISE_BURST
            _set_rising(bucket, max(used, AGAIN_FROM))
    elif bucket.short:
        by = AGAIN_BY if bucket.opened else RISE_BY
        _set_rising(bucket, bucket.rate * math.exp(by * min(passed, LONGEST_STEP_S)))
    elif bucket.reached < SLACK:
        _set_rising(bucket, min(bucket.rate, max(used, AGAIN_FROM if bucket.opened else RISE_FROM)))
    else:
        # nobody waits, and it is called often
        _set_rising(bucket, PROVEN)


def _grow(bucket: Bucket, passed: float) -> None:
    """Quickly up to near the pace that was refused and far beyond it, slowly around it."""
    near = 0.7 * bucket.ceiling <= bucket.rate <= 1.3 * bucket.ceiling
    step = 0.02 * bucket.ceiling if near else 1.0 + 0.25 * bucket.rate
    _set_felt(bucket, bucket.rate + passed * step)
    if bucket.rate >= OPEN_FROM:
        bucket.mode = Mode.OPEN
