"""One rate for each of many keys, kept in one process. Pure: the time is an argument."""

from domain.admission.gcra import SLACK, interval, tolerance
from domain.admission.model import Limit

MAX_KEYS = 20_000


class Rates:
    """The generic cell rate algorithm (domain/admission/gcra.py) for keys that nobody knows beforehand.

    At most `max_keys` are remembered, the ones that were used last: who comes from more addresses than that is given
    a new burst for each, and no memory.
    """

    def __init__(self, per_minute: int, burst: int, max_keys: int = MAX_KEYS) -> None:
        limit = Limit("address", per_minute, burst)
        self._interval = interval(limit)
        self._tolerance = tolerance(limit)
        self._max_keys = max_keys
        self._due: dict[str, float] = {}

    def wait(self, key: str, now: float) -> float:
        """Seconds until one more of this key conforms; 0 when it does now. Spends nothing."""
        due = self._due.get(key)
        if due is None:
            return 0.0
        wait = due - self._tolerance - now
        return wait if wait > SLACK else 0.0

    def spend(self, key: str, now: float) -> None:
        """Count one of this key."""
        due = self._due.pop(key, now)
        if len(self._due) >= self._max_keys:
            del self._due[next(iter(self._due))]
        self._due[key] = max(due, now) + self._interval
