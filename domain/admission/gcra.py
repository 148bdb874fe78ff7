"""The generic cell rate algorithm (ITU-T I.371, virtual scheduling), over several limits at once. No I/O, no clock.

A limit of r events a minute and a burst of b is a theoretical arrival time (TAT): the time at which the next event
would be exactly on schedule. An event conforms from TAT - (b - 1) * interval on and moves TAT one interval ahead, so
that every sliding window of w seconds sees at most r * w / 60 + b events. All times are seconds of one clock.
"""

from collections.abc import Mapping, Sequence

from domain.admission.model import Charge, Limit

# rounding while intervals are added up must not make the last event of a burst wait
SLACK = 1e-6


def interval(limit: Limit) -> float:
    """Seconds between two events at the limit's rate."""
    return 60.0 / limit.per_minute


def tolerance(limit: Limit) -> float:
    """Seconds an event may be ahead of schedule: what lets `burst` of them pass at once."""
    return (limit.burst - 1) * interval(limit)


def unknown_tat(limit: Limit, booted: float) -> float:
    """The TAT of a limit without state: as if its burst had been used up when the store came up empty (rule D2)."""
    return booted + tolerance(limit)


def admission(now: float, limits: Sequence[Limit], tats: Mapping[str, float]) -> float:
    """The earliest time from `now` on at which an event conforms to all limits."""
    at = max((tats[limit.key] - tolerance(limit) for limit in limits), default=now)
    return now if at <= now + SLACK else at


def spend(at: float, limits: Sequence[Limit], tats: Mapping[str, float]) -> dict[str, float]:
    """The limits' TATs after an event that passes at `at`.

    Every limit counts the event when it passes, not when it was asked for: what another limit holds back until later
    meets this one later, and no window of either is overrun.
    """
    return {limit.key: max(tats[limit.key], at) + interval(limit) for limit in limits}


def admit(now: float, charge: Charge, tats: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """Seconds this event has to wait, and the TATs it changes: none where it is rejected."""
    at = admission(now, charge.limits, tats)
    if charge.reject and at > now:
        return at - now, {}
    return at - now, spend(at, charge.limits, tats)
