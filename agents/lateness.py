"""What of a worker process is late, for its watchdog (rule S6). Asked in the event loop."""

from collections.abc import Sequence

from agents.lease import LeaseKeeper
from agents.progress import Progress
from agents.stage import Stage
from agents.wake.loop import Wake

WAKE_TURN = 60.0


def lateness(
    parts: Sequence[tuple[Stage, Progress]], lease: LeaseKeeper | None, wake: Wake | None, now: float
) -> tuple[float, str]:
    """(seconds, what) of whatever is latest, by the monotonic clock; not above 0 when nothing is.

    A dependency that is away excuses everything that may be waiting for it: the broker is asked by each consumer,
    PostgreSQL by the lease, and a stage knows what its own handler could not reach.
    """
    away = [progress.excused_at for _, progress in parts]
    if lease is not None:
        away.append(lease.failed_at)
    excused_at = max(away, default=float("-inf"))
    late = [(0.0, "")]
    for stage, progress in parts:
        name = stage.policy.name
        late.append((stage.late(now, excused_at), f"{name}: a delivery or a call past its deadline"))
        late.append((progress.stalled, f"{name}: the consumer {progress.reason}"))
    if wake is not None:
        late.append((now - wake.turned_at - WAKE_TURN, "wake: a turn past its deadline"))
    return max(late)
