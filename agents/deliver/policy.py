"""When a write that may succeed later is tried again. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """`name` is the sink's; waits are seconds. There is no last attempt: records wait on their topic."""

    name: str
    first_wait_s: float = 0.2
    longest_wait_s: float = 30.0

    def wait(self, failures: int, retry_after: float | None, chance: float) -> float:
        """Seconds until the next attempt after `failures` >= 1 in a row.

        Exponential with equal jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015):
        half of the wait is certain, half is `chance` in [0, 1). Never earlier than the other side asked for.
        """
        ceiling: float = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 30))
        return max(ceiling * (1 + chance) / 2, (retry_after or 0.0) * (1 + chance / 10))
