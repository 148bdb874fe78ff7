"""Money in the in-memory store: reserved with an attempt, booked after it (rule L12)."""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal

from connectors.memory.store import AccountKey, AttemptKey, Hold, MemoryStore, StoredBudget, StoredNotice
from domain.budgets.model import MARKS, Notice, Over, Reserve
from domain.budgets.rules import Account, admit, label


def reserve(store: MemoryStore, key: AttemptKey, wanted: Reserve, charged_at: datetime, now: datetime) -> Over | None:
    """Hold what the attempt may cost in all its budgets, or say which one is short. Repeating it holds nothing more."""
    if key in store.holds:
        return None
    found = {one.budget.serial: one for one in store.budgets.values() if one.budget.tenant == key[0]}
    charged = [found[serial] for serial in wanted.budgets if serial in found]
    accounts = [account_of(store, one, charged_at) for one in charged]
    over = admit(wanted, accounts)
    if over is None:
        store.holds[key] = [
            Hold(one.budget.serial, account.label, wanted.amount_usd)
            for one, account in zip(charged, accounts, strict=True)
        ]
        return None
    short = next(one for one in charged if one.budget.name == over.budget)
    note(store, short, account_of(store, short, charged_at), 100, now)
    return over


def free(store: MemoryStore, key: AttemptKey, cost_usd: Decimal) -> None:
    """An entry for the roll-up; the accounts are not touched."""
    store.entries.setdefault(key, cost_usd)


def fold(store: MemoryStore, limit: int, now: datetime) -> int:
    due = sorted(store.entries)[:limit]
    sums: dict[AccountKey, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for key in due:
        cost = store.entries.pop(key)
        for hold in store.holds.pop(key, ()):
            total = sums[key[0], hold.serial, hold.label]
            total[0] += cost
            total[1] += hold.amount_usd
    for account_key, (spent, held) in sums.items():
        _book(store, account_key, spent, held, now)
    return len(due)


def _book(store: MemoryStore, key: AccountKey, spent: Decimal, held: Decimal, now: datetime) -> None:
    account = store.accounts.get(key)
    if account is None:
        return
    account.spent_usd += spent
    account.held_usd -= held
    for one in store.budgets.values():
        reached = [mark for mark in MARKS if account.spent_usd * 100 >= one.budget.limit_usd * mark]
        for mark in reached if (one.budget.tenant, one.budget.serial) == key[:2] else ():
            note(store, one, account, mark, now)


def account_of(store: MemoryStore, one: StoredBudget, at: datetime) -> Account:
    """The account of the period that `at` lies in, under the limit of today."""
    budget = one.budget
    name = label(budget.period, at)
    key = (budget.tenant, budget.serial, name)
    account = store.accounts.get(key)
    if account is None:
        account = Account(budget.name, budget.period, name, budget.limit_usd, Decimal(0), Decimal(0))
        store.accounts[key] = account
    account.limit_usd = budget.limit_usd
    return account


def note(store: MemoryStore, one: StoredBudget, account: Account, mark: int, now: datetime) -> None:
    budget = one.budget
    notice = Notice(
        budget.tenant, budget.serial, account.label, mark, budget.name, budget.period, budget.limit_usd,
        account.spent_usd, account.held_usd, now,
    )  # fmt: skip
    store.notices.setdefault((budget.tenant, budget.serial, account.label, mark), StoredNotice(notice, now))
