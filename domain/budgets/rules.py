"""What a budget is charged with, when its period begins and ends, and whether it has a sum left. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from domain.budgets.model import Budget, Over, Period, Reserve
from domain.errors import ModelError

_FORMATS: Mapping[Period, str] = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m"}
_SOONEST = timedelta(seconds=1)
_LATEST = timedelta(seconds=60)


def label(period: Period, at: datetime) -> str:
    """The name of the period that `at` lies in: `2026-01`, `2026-01-31`, `2026-01-31T23`."""
    return at.astimezone(UTC).strftime(_FORMATS[period])


def span(period: Period, label: str) -> tuple[datetime, datetime]:
    """When the period of that name begins, and when the next one does."""
    start = datetime.strptime(label, _FORMATS[period]).replace(tzinfo=UTC)
    if period == "month":
        return start, (start + timedelta(days=32)).replace(day=1)
    return start, start + (timedelta(days=1) if period == "day" else timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Charged:
    """What a call is, to budgets: who asks, with which template, which alias, and which deployment answers."""

    api_key_id: str | None
    template: str | None
    alias: str
    provider: str
    deployment: str


def applies(budget: Budget, call: Charged) -> bool:
    """Whether a call of the budget's tenant is charged to it."""
    return (
        budget.api_key_id in (None, call.api_key_id)
        and budget.template in (None, call.template)
        and budget.model in (None, call.deployment, call.alias, f"{call.provider}/*")
    )


@dataclass(slots=True)
class Account:
    """What a budget has spent and holds in one period; `held_usd` grows as attempts are admitted."""

    name: str
    period: Period
    label: str
    limit_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal


def admit(reserve: Reserve, accounts: Sequence[Account]) -> Over | None:
    """Hold the amount in all `accounts`, or in none: then the one that would be free last says why."""
    asked = reserve.amount_usd
    short = [account for account in accounts if account.spent_usd + account.held_usd + asked > account.limit_usd]
    if short:
        return max((_over(account, asked) for account in short), key=_in_the_way)
    for account in accounts:
        account.held_usd += asked
    return None


def _over(account: Account, asked: Decimal) -> Over:
    left = max(Decimal(0), account.limit_usd - account.spent_usd - account.held_usd)
    _, until = span(account.period, account.label)
    held, never = account.spent_usd + asked <= account.limit_usd, asked > account.limit_usd
    return Over(account.name, account.limit_usd, asked, left, until, held, never)


def refused_before(reserve: Reserve, now: datetime) -> Over:
    """The refusal whose answer was lost, of a budget that nobody remembers: it stands, and may be asked again."""
    return Over("", Decimal(0), reserve.amount_usd, Decimal(0), now, held=True)


def _in_the_way(over: Over) -> tuple[bool, bool, datetime]:
    return over.never, not over.held, over.until


def ask_again_at(over: Over, now: datetime, since: datetime) -> datetime:
    """When a request that waits since `since` asks again: in the next period, or soon where money may come back.

    The pause grows with the wait, so that many who wait for little do not ask all the time.
    """
    if not over.held:
        return over.until
    pause = min(max((now - since) / 2, _SOONEST), _LATEST)
    return max(min(now + pause, over.until), now)


def may_have_cost(error: ModelError) -> bool:
    """Whether a call that failed so may have been billed: then what was reserved for it stays reserved."""
    if not error.sent or error.outcome == "rate_limited":
        return False
    return error.status is None or error.status == 200 or error.outcome == "timeout"
