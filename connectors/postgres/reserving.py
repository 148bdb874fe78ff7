"""Reserving in the ledger's transaction (rule L12): the statement first, then the accounts, then the commit.

The statement locks claims and writes attempts as if all of them could be paid; then the accounts are locked, in the
order of their keys, and the batch is charged to them in its own order. Where an account is short, the transaction is
rolled back and done again with the refused requests marked as such: a refusal leaves nothing behind.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from connectors.postgres.pool import Pool, Statements, columns
from connectors.postgres.queries import statements
from domain.budgets.model import Over, Reserve
from domain.budgets.rules import Account, admit, refused_before
from domain.ledger.model import Aside, Grip, Next, Park, Settlement, Take, Taken

_SQL = statements("budgets")

_NOBODY: Mapping[int, Sequence[int]] = {}
Answers = TypeVar("Answers")
Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """An attempt that was written, at a place of its batch. `again`: by an earlier statement, whose answer was lost."""

    place: int
    tenant: str
    id: str
    run: int
    attempt: int
    reserve: Reserve
    again: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The account that was short, None of a refusal that only its lost answer knew."""

    over: Over
    account: Key | None


class _Short(Exception):
    """Some of the batch cannot be paid, `refused` of those that are `paying`: the transaction is left undone by it."""

    def __init__(self, refused: Mapping[int, Refusal], paying: Container[int]) -> None:
        super().__init__()
        self.refused, self.paying = refused, paying


async def within_budgets(
    pool: Pool,
    write: Callable[[Statements, Container[int]], Awaitable[Answers]],
    asked: Callable[[Answers], Sequence[Asked]],
    alike: Mapping[int, Sequence[int]] = _NOBODY,
) -> tuple[Answers, dict[int, Over]]:
    """What `write` answers, done without the places that are refused, and why those are.

    `alike`: the places that ask the same as one (rule L14) at the same cost; those that would have waited for its
    answer are refused with it.
    """
    refused: dict[int, Refusal] = {}
    while True:
        try:
            async with pool.transaction() as database:
                answers = await write(database, refused)
                await _pay(database, [one for one in asked(answers) if one.place not in refused])
                await _tell(database, refused)
        except _Short as short:
            refused |= _with_followers(short, alike)
            continue
        return answers, {place: refusal.over for place, refusal in refused.items()}


async def _pay(database: Statements, asked: Sequence[Asked]) -> None:
    """Hold the money of all of them. Raises _Short where that is not possible; nothing is held then."""
    refused = await _reserve(database, asked)
    if refused:
        raise _Short(refused, {one.place for one in asked})


def _with_followers(short: _Short, alike: Mapping[int, Sequence[int]]) -> dict[int, Refusal]:
    found = dict(short.refused)
    for place, refusal in short.refused.items():
        found.update((other, refusal) for other in alike.get(place, ()) if other not in short.paying)
    return found


async def book(database: Statements, items: Sequence[Any]) -> None:
    """Entries of what ended attempts cost, for the roll-up. No account is touched."""
    given = [
        (item.tenant, item.id, item.run, item.done.attempt, item.done.cost_usd)
        for item in items
        if item.done is not None and item.done.frees
    ]
    if given:
        await database.fetch(_SQL["entries"], *columns(given, 5))


@asynccontextmanager
async def booking(pool: Pool, items: Sequence[Aside | Park | Settlement]) -> AsyncIterator[Statements]:
    """One transaction with their entries where money was reserved for any of them; else a statement at a time."""
    if not any(item.done is not None and item.done.frees for item in items):
        yield pool
        return
    async with pool.transaction() as database:
        yield database
        await book(database, items)


def takes_to_pay(batch: Sequence[Take], answers: Sequence[Taken]) -> list[Asked]:
    """The attempts that were begun and need money."""
    return [
        Asked(place, take.tenant, take.id, take.run, answer.attempt, take.reserve, answer.retaken)
        for place, (take, answer) in enumerate(zip(batch, answers, strict=True))
        if take.reserve is not None and take.calls and answer.grip is Grip.TAKEN
    ]


def alike(batch: Sequence[Take]) -> dict[int, Sequence[int]]:
    """Of each place that asks a question: the places of its batch that ask the same at the same cost."""
    groups: dict[tuple[str, bytes, Reserve], list[int]] = {}
    for place, take in enumerate(batch):
        if take.question is not None and take.reserve is not None:
            groups.setdefault((take.tenant, take.question, take.reserve), []).append(place)
    return {place: places for places in groups.values() if len(places) > 1 for place in places}


def nexts_to_pay(batch: Sequence[Next], answers: Sequence[int | Over]) -> list[Asked]:
    """The same of further attempts."""
    return [
        Asked(place, item.tenant, item.id, item.run, number, item.reserve)
        for place, (item, number) in enumerate(zip(batch, answers, strict=True))
        if item.reserve is not None and isinstance(number, int) and number
    ]


async def _reserve(database: Statements, asked: Sequence[Asked]) -> dict[int, Refusal]:
    """The places that are refused; money is held only when there are none."""
    if not asked:
        return {}
    rows = [(one, serial) for one in asked for serial in one.reserve.budgets]
    found = await _accounts(database, [(o.tenant, o.id, o.run, o.attempt, serial) for o, serial in rows])
    accounts: dict[Key, Account] = {}
    charged: dict[int, list[Key]] = {}
    reserved: set[int] = set()
    for row in found:
        key, place = (row["tenant"], row["serial"], row["label"]), rows[row["n"]][0].place
        facts = (row["name"], row["period"], row["label"], row["limit_usd"], row["spent_usd"], row["held_usd"])
        accounts.setdefault(key, Account(*facts))
        charged.setdefault(place, []).append(key)
        if row["reserved"]:
            reserved.add(place)
    fresh = [one for one in asked if one.place in charged and one.place not in reserved]
    refused = _judge(fresh, charged, accounts)
    if not refused:
        await _hold(database, fresh, charged)
    return refused


def _judge(
    asked: Sequence[Asked], charged: Mapping[int, list[Key]], accounts: Mapping[Key, Account]
) -> dict[int, Refusal]:
    refused: dict[int, Refusal] = {}
    for one in asked:
        if one.again:
            refused[one.place] = Refusal(refused_before(one.reserve, datetime.now(UTC)), None)
            continue
        keys = charged[one.place]
        over = admit(one.reserve, [accounts[key] for key in keys])
        if over is not None:
            short = next(key for key in keys if accounts[key].name == over.budget)
            refused[one.place] = Refusal(over, short)
    return refused


async def _accounts(database: Statements, given: list[tuple[Any, ...]]) -> Sequence[Any]:
    """One row for each of `given` whose budget still exists; the accounts of a new period are opened."""
    while True:
        rows = await database.fetch(_SQL["accounts"], *columns(given, 5))
        missing = {(row["tenant"], row["serial"], row["label"]) for row in rows if row["spent_usd"] is None}
        if not missing:
            return rows
        await database.fetch(_SQL["open_accounts"], *columns(sorted(missing), 3))


async def _hold(database: Statements, asked: Sequence[Asked], charged: Mapping[int, list[Key]]) -> None:
    given = [
        (one.tenant, one.id, one.run, one.attempt, serial, label, one.reserve.amount_usd)
        for one in asked
        for _, serial, label in charged[one.place]
    ]
    if given:
        await database.fetch(_SQL["hold"], *columns(given, 7))


async def _tell(database: Statements, refused: Mapping[int, Refusal]) -> None:
    short = sorted({refusal.account for refusal in refused.values() if refusal.account is not None})
    if short:
        await database.fetch(_SQL["exceeded"], *columns(short, 3))
