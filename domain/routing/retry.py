"""What to do after a provider failed: data in, decision out. Randomness and time are arguments."""

from dataclasses import dataclass

from domain.errors import ModelError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` of a run, all kinds together; waits in seconds, `growth` times as long each time up to `longest`.

    A passing fault is tried again within a second, and the five attempts still reach over 40 s: a provider that is
    away for half a minute fails nobody.
    """

    attempts: int = 5
    first: float = 1.0
    growth: float = 4.0
    longest: float = 60.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after so many seconds."""

    after: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It ends with this error code of contracts.md."""

    code: str


def decide(
    error: ModelError, attempt: int, policy: RetryPolicy, fail_on_unknown: bool, jitter: float
) -> Retry | GiveUp:
    """`attempt` counts from 1, `jitter` lies in [0, 1): full jitter (AWS Architecture Blog, 2015).

    With `fail_on_unknown` only what certainly was not worked on is tried again (rule L9).
    """
    unknown = error.sent and error.outcome != "rate_limited"
    if fail_on_unknown and unknown and error.status is None:
        return GiveUp("unknown_outcome")
    code = "provider_timeout" if error.outcome == "timeout" else "provider_error"
    if not error.retryable or attempt >= policy.attempts or (fail_on_unknown and unknown):
        return GiveUp(code)
    ceiling = min(policy.longest, policy.first * policy.growth ** (attempt - 1))
    wait = ceiling * (0.5 + jitter / 2)
    return Retry(max(wait, error.retry_after or 0.0))
