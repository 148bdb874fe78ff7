"""The end of requests (rules L8, L11): one statement, on its own or within a larger transaction."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from connectors.postgres.outcomes import outcomes
from connectors.postgres.pool import Statements, columns
from connectors.postgres.queries import statements
from domain.ledger.model import Aside, AttemptDone, Next, Park, Settled, Settlement

_SETTLE = statements("settle")["settle"]
_COMPLETE = statements("dispatch")["complete"]

_by_key = attrgetter("tenant", "id", "run")


async def settle(
    database: Statements, batch: Sequence[Settlement], with_followers: bool = False
) -> list[Settled | None]:
    """Answers in the order of the batch, which holds each request once.

    None where others wait for this answer: nothing was changed then, unless `with_followers` says that the caller
    ends those as well.
    """
    ordered = sorted(range(len(batch)), key=lambda place: _by_key(batch[place]))
    items = [batch[place] for place in ordered]
    given = [
        (s.tenant, s.id, s.run, s.epoch, s.state, s.result, s.settled_by, s.error_code, *done_columns(s.done))
        for s in items
    ]
    rows = await database.fetch(_SETTLE, *columns(given, 14), with_followers)
    await complete(database, [items[row["n"]] for row in rows if row["elsewhere"]])
    answers: list[Settled | None] = [Settled(False)] * len(batch)
    unsure = []
    for n, won, attempts, _, followed in rows:
        done = items[n].done
        if followed:
            answers[ordered[n]] = None
        elif won and attempts == 0:
            answers[ordered[n]] = Settled(True)
        elif won and attempts == 1 and done is not None and done.attempt == 1:
            answers[ordered[n]] = Settled(True, (done.record,))
        else:
            unsure.append(n)
    # runs of several attempts, and rows that were final before: who repeats its own settlement has won it
    ends = await outcomes(database, [_by_key(items[n]) for n in unsure])
    for n, (result, usage) in zip(unsure, ends, strict=True):
        if result == items[n].result:
            answers[ordered[n]] = Settled(True, usage)
    return answers


async def complete(database: Statements, items: Sequence[Aside | Next | Park | Settlement]) -> None:
    """Record what became of attempts that ran beside others, or whose claim went on to another run."""
    ended = [item for item in items if item.done is not None and item.done.outcome != "started"]
    given = [(*_by_key(item), *done_columns(item.done)) for item in ended]
    if given:
        await database.fetch(_COMPLETE, *columns(given, 9))


def done_columns(done: AttemptDone | None) -> tuple[Any, ...]:
    """What became of an attempt, as the statements take it."""
    if done is None:
        return (None, None, None, None, None, None)
    return (done.attempt, done.outcome, done.cost_usd, done.input_tokens, done.output_tokens, done.record)
