"""Which waiting calls get the tokens of a bucket: lanes by weight, interactive first. Pure.

Start-time fair queueing (Goyal, Vin and Cheng, 1996): a lane's next call is tagged with the later of where the lane
and where the bucket stand; the lowest tag goes, and moves its lane on by 1 / weight. What other workers wait for is
counted too: a bulk call of this worker does not take the token that an interactive call of another one waits for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.pacing.bucket import Bucket
from domain.pacing.model import WEIGHTS, Mode

PROBE_AGAIN = 0.05
SOONEST, LATEST = 0.01, 1.0
"""Seconds between two questions of one worker for one deployment."""
MOST_DOUBLINGS = 20
ONE = 1 - 1e-6
"""A token, but for what rounding took."""


@dataclass(slots=True)
class Others:
    """What the other workers of the fleet wait for, by lane."""

    waiting: list[int]


def grant(bucket: Bucket, wanted: Sequence[Sequence[int]], others: Others, now: float) -> tuple[list[int], float]:
    """Calls of each lane that may go, and in how many seconds to ask again for the rest. `bucket` is as of `now`."""
    calls, again = _granted(bucket, wanted, others, now)
    bucket.reached += sum(calls)
    bucket.short = sum(calls) < sum(map(len, wanted)) or any(others.waiting)
    return calls, again


def _granted(bucket: Bucket, wanted: Sequence[Sequence[int]], others: Others, now: float) -> tuple[list[int], float]:
    if bucket.mode is Mode.OPEN:
        return [len(lane) for lane in wanted], SOONEST
    if bucket.mode is Mode.UNKNOWN:
        return _probe(bucket, wanted, now), PROBE_AGAIN
    if now < bucket.until:
        return [0, 0, 0], max(bucket.until - now, SOONEST)
    return _share(bucket, wanted, others)


def _probe(bucket: Bucket, wanted: Sequence[Sequence[int]], now: float) -> list[int]:
    """One call goes first; while it is not answered, twice as many each second."""
    if not any(wanted):
        return [0, 0, 0]
    if bucket.probes == 0:
        bucket.since = now
    left = 2 ** min(MOST_DOUBLINGS, int(now - bucket.since)) - bucket.probes
    calls = []
    for lane in wanted:
        calls.append(max(0, min(left, len(lane))))
        left -= calls[-1]
    bucket.probes += sum(calls)
    return calls


def _share(bucket: Bucket, wanted: Sequence[Sequence[int]], others: Others) -> tuple[list[int], float]:
    calls, elsewhere = [0, 0, 0], list(others.waiting)
    level, ahead = bucket.level - bucket.reserve, [0.0, 0.0, 0.0]
    while True:
        lanes = [n for n in range(3) if calls[n] < len(wanted[n]) or elsewhere[n] > 0]
        mine = [n for n in lanes if calls[n] < len(wanted[n])]
        if not mine:
            return calls, SOONEST
        lane = min(lanes, key=lambda n: (max(bucket.tags[n] + ahead[n], bucket.virtual), n))
        if lane not in mine:
            # theirs: it stays in the bucket for them
            elsewhere[lane] -= 1
            ahead[lane] += 1 / WEIGHTS[lane]
            level -= 1
            if level < ONE:
                return calls, _again(bucket, 1 - level, 0)
            continue
        tokens = _tokens(bucket, wanted[lane][calls[lane]])
        if level < ONE or bucket.token_level < tokens:
            return calls, _again(bucket, 1 - level, tokens - bucket.token_level)
        _take(bucket, lane, tokens)
        calls[lane] += 1
        level -= 1


def _tokens(bucket: Bucket, tokens: int) -> float:
    """A call larger than the bucket needs all of it; 0 where tokens are not limited."""
    return min(float(tokens), bucket.token_capacity) if bucket.token_rate > 0 else 0.0


def _take(bucket: Bucket, lane: int, tokens: float) -> None:
    start = max(bucket.tags[lane], bucket.virtual)
    bucket.tags[lane], bucket.virtual = start + 1 / WEIGHTS[lane], start
    bucket.level -= 1
    bucket.token_level -= tokens


def _again(bucket: Bucket, calls: float, tokens: float) -> float:
    """Seconds until so many calls and tokens have come back."""
    wait = max(calls, 0.0) / bucket.rate if bucket.rate > 0 else LATEST
    if tokens > 0 and bucket.token_rate > 0:
        wait = max(wait, tokens / bucket.token_rate)
    return min(max(wait, SOONEST), LATEST)
