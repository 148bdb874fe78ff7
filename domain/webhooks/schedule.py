"""What an answer means, and when a delivery is tried again. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from domain.webhooks.model import Attempt, Disabled, Due, Mark, Outcome, Settlement

WAITS = (
    timedelta(0), timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2),
    timedelta(hours=5), timedelta(hours=10), timedelta(hours=14), timedelta(hours=20), timedelta(hours=24),
)  # fmt: skip
"""Before each attempt, counted from the end of the one before (Standard Webhooks 1.0, "Deliverability")."""
JITTER = 0.1
"""A wait is up to so much longer, so that what failed together does not come back together."""
LONGEST_WAIT = timedelta(hours=24)
"""What a receiver may ask for with Retry-After."""
PATIENCE = timedelta(days=5)
"""An endpoint that accepts nothing for so long is disabled."""
SAME = timedelta(seconds=10)
"""What an attempt says of its endpoint is written down when it is new, or so much later than the last one."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of an attempt: `status` None where there was no answer, and `error` says why; `forbidden` where the
    URL, or what its name resolves to, must not be called: trying again would not help.
    """

    status: int | None
    seconds: float
    retry_after: str = ""
    head: str = ""
    error: str = ""
    forbidden: bool = False

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status <= 299


def settle(due: Due, heard: Heard, began: datetime, request: str, chance: float) -> Settlement:
    """How the attempt that `began` ends; `chance` in [0, 1) is the jitter, `request` the headers that were sent."""
    outcome: Outcome = "delivered" if heard.delivered else "gone" if heard.status == 410 else "failed"
    attempt = Attempt(
        began, outcome, round(heard.seconds * 1000), heard.status, request, heard.head, heard.error[:500]
    )  # fmt: skip
    tried, ended = due.tried + 1, began + timedelta(seconds=heard.seconds)
    again = None
    if outcome == "failed" and tried < len(WAITS) and not heard.forbidden:
        again = ended + max(WAITS[tried] * (1 + JITTER * chance), _asked(heard, ended))
    return Settlement(due.key, attempt, tried, again)


def dropped(due: Due, now: datetime) -> Settlement:
    """Its endpoint is disabled or gone: nothing is sent."""
    attempt = Attempt(now, "dropped", error="the endpoint was disabled or removed before this attempt")
    return Settlement(due.key, attempt, due.tried, None)


def given_up(most: int) -> str:
    """What the log says of a delivery that too many came after."""
    return f"more than {most} deliveries waited: this one was among the oldest, and was given up; it can be redelivered"


def mark(due: Due, settled: Settlement) -> Mark | None:
    """What is to be remembered of the endpoint, None where that is known already: most attempts say nothing new."""
    target, attempt = due.target, settled.attempt
    if target is None or attempt.outcome == "dropped":
        return None
    if attempt.outcome == "delivered":
        known = target.failing_since is None and _lately(target.last_success_at, attempt)
        return None if known else Mark(target.tenant, target.id, None, at=attempt.at)
    since, known = target.failing_since or attempt.at, _lately(target.last_error_at, attempt)
    disabled: Disabled | None = "gone" if attempt.outcome == "gone" else None
    if disabled is None and attempt.at - since >= PATIENCE:
        disabled = "failing"
    if disabled is None and target.failing_since is not None and known:
        return None
    return Mark(target.tenant, target.id, since, disabled, attempt.at, attempt.status, attempt.error)


def _lately(last: datetime | None, attempt: Attempt) -> bool:
    return last is not None and attempt.at - last < SAME


def _asked(heard: Heard, now: datetime) -> timedelta:
    """Retry-After of a 429 or 503 (RFC 9110, 10.2.3): seconds, or a date."""
    text = heard.retry_after.strip()
    if heard.status not in (429, 503) or not text:
        return timedelta(0)
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return timedelta(0)
    return min(max(at - now, timedelta(0)), LONGEST_WAIT) if at.tzinfo else timedelta(0)
