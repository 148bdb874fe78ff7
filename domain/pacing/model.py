"""What a worker asks of the fleet's pace, what it tells, and what it is told. No I/O."""

from dataclasses import dataclass
from enum import StrEnum

from domain.pacing.told import Told

LANES = ("interactive", "standard", "bulk")
"""In the order in which tokens are handed out, where the weights say nothing else."""
WEIGHTS = (16.0, 4.0, 1.0)
"""Shares of a deployment's tokens while all lanes want some."""


class Mode(StrEnum):
    """What is known of a deployment's limit."""

    UNKNOWN = "unknown"  # nothing, or it was forgotten: one call goes first (rule D2)
    OPEN = "open"  # it was called often, named no limit and refused nothing
    TOLD = "told"  # its headers name the limit
    FELT = "felt"  # it names no limit: the pace rises quickly until a call is refused, is halved and grows slowly then


@dataclass(frozen=True, slots=True)
class Heard:
    """How a call ended, as far as it tells of limits. Seconds and calls a second.

    limited:     the provider refused it for its limit (429); `retry_after` is what it said of it
    latency:     since the call was sent: so old is what `told` says
    calls_a_second: what this worker reached lately, the first guess where the provider names no limit
    """

    limited: bool = False
    told: Told | None = None
    retry_after: float | None = None
    latency: float = 0.0
    calls_a_second: float = 1.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One worker asks for calls to one deployment, and tells what it heard of it since.

    `wanted` has for each lane of LANES the tokens of the calls that wait, in the order in which they shall go.
    `away` more of them go and wait elsewhere: when shall the first of them be back?
    `went` calls went since the last question without asking, where that was free.
    """

    deployment: str
    worker: str
    wanted: tuple[tuple[int, ...], ...] = ((), (), ())
    heard: tuple[Heard, ...] = ()
    away: int = 0
    went: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """`calls` of each lane may go now, the first of those that wait; asking for the others makes sense after `again`.

    again: seconds; long where the provider said that it takes no call before then
    rate:  calls a second that the deployment allows, 0 where nothing is known
    queue: calls that wait for it in the whole fleet
    back:  seconds until the first of those that wait elsewhere shall be back, the others at `rate` behind it
    """

    mode: Mode
    calls: tuple[int, int, int]
    again: float
    rate: float
    queue: int
    back: float = 0.0
