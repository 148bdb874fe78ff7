"""The generic cell rate algorithm (ITU-T I.371, virtual scheduling), over several limits at once. No I/O, no clock.

A limit of r events a minute and a burst of b is a theoretical arrival time (TAT): the time at which the next event
would be exactly on schedule. An event conforms from TAT - (b - 1) * interval on and moves TAT one interval ahead, so
that every sliding window of w seconds sees at most r * w / 60 + b events. An event that costs n, as of a limit of
tokens, conforms from TAT - (b - n) * interval on and moves TAT by n intervals. All times are seconds of one clock.
"""

from collections.abc import Mapping, Sequence

from domain.admission.model import Charge, Left, Limit

# rounding while intervals are added up must not make the last event of a burst wait
SLACK = 1e-6


def interval(limit: Limit) -> float:
    """Seconds between two events at the limit's rate."""
    return 60.0 / limit.per_minute


def tolerance(limit: Limit, cost: int = 1) -> float:
    """Seconds an event of `cost` may be ahead of schedule: what lets `burst` of them pass at once."""
    return (limit.burst - cost) * interval(limit)


def unknown_tat(limit: Limit, booted: float) -> float:
    """The TAT of a limit without state: as if its burst had been used up when the store came up empty (rule D2)."""
    return booted + tolerance(limit)


def admission(now: float, limits: Sequence[Limit], tats: Mapping[str, float], tokens: int = 0) -> float:
    """The earliest time from `now` on at which an event conforms to all limits."""
    at = max((tats[limit.key] - tolerance(limit, limit.cost(tokens)) for limit in limits), default=now)
    return now if at <= now + SLACK else at


def spend(at: float, limits: Sequence[Limit], tats: Mapping[str, float], tokens: int = 0) -> dict[str, float]:
    """The limits' TATs after an event that passes at `at`.

    Every limit counts the event when it passes, not when it was asked for: what another limit holds back until later
    meets this one later, and no window of either is overrun.
    """
    return {limit.key: max(tats[limit.key], at) + limit.cost(tokens) * interval(limit) for limit in limits}


def admit(now: float, charge: Charge, tats: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """Seconds this event has to wait, and the TATs it changes: none where it is rejected."""
    at = admission(now, charge.limits, tats, charge.tokens)
    if charge.reject and at > now:
        return at - now, {}
    return at - now, spend(at, charge.limits, tats, charge.tokens)


def settle(now: float, limit: Limit, tat: float, reserved: int, used: int) -> float:
    """The TAT after an event that reserved so many tokens used so many.

    What comes back never lifts the limit above its burst; what was used beyond the reservation is owed, at most one
    burst of it.
    """
    more = min(used, limit.burst) - reserved
    if more > 0:
        return max(tat, now) + more * interval(limit)
    return tat if tat <= now else max(now, tat + more * interval(limit))


def left(now: float, limit: Limit, tat: float) -> Left:
    """What of the burst could pass at once."""
    ahead = max(0.0, tat - now)
    return Left(max(0, int((limit.burst * interval(limit) - ahead) / interval(limit) + SLACK)), ahead)
