"""How long a run keeps trying."""

import pytest

from domain.errors import ModelError
from domain.routing.retry import GiveUp, Retry, RetryPolicy, decide

REFUSED = ModelError("nobody there", outcome="refused_connection", sent=False, retryable=True)


def waits(jitter: float) -> list[float]:
    found = []
    for attempt in range(1, RetryPolicy().attempts):
        decision = decide(REFUSED, attempt, RetryPolicy(), False, jitter)
        assert isinstance(decision, Retry)
        found.append(decision.after)
    return found


@pytest.mark.parametrize("jitter", [0.0, 0.999])
def test_a_passing_fault_is_tried_again_soon_and_an_outage_of_half_a_minute_is_outlived(jitter: float) -> None:
    assert waits(jitter)[0] <= 1.0
    assert sum(waits(jitter)) >= 40
    assert decide(REFUSED, RetryPolicy().attempts, RetryPolicy(), False, jitter) == GiveUp("provider_error")


def test_a_provider_that_says_when_is_not_asked_earlier() -> None:
    told = ModelError("busy", outcome="rate_limited", sent=True, retryable=True, retry_after=90.0)
    assert decide(told, 1, RetryPolicy(), False, 0.5) == Retry(90.0)
