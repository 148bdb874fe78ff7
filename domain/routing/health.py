"""What a worker says of a deployment. No I/O."""

from dataclasses import dataclass

FRESH_S = 15.0
"""A worker that says nothing for so long is gone, and so is what it said."""


@dataclass(frozen=True, slots=True)
class Report:
    """Counts since the worker started; `p50_ms` of the last answers, None before the first. `at` is since 1970."""

    deployment: str
    worker: str
    answers: int
    failures: int
    p50_ms: int | None
    at: float
