"""The claim (rules L1–L3): fold, insert what is new, then look at what was there."""

from collections.abc import Iterable, Sequence
from typing import Any

from connectors.postgres.pool import Pool, columns
from connectors.postgres.queries import statements
from domain.errors import Unavailable
from domain.ledger.model import Claim, Claimed, Source, Standing, State
from domain.ledger.rules import Held, restarts, standing

_SQL = statements("claim")
_ROUNDS = 3

Row = Any


async def claim(pool: Pool, batch: Sequence[Claim]) -> list[Claimed]:
    """Answers in the order of the batch. Raises BadData when PostgreSQL refuses any of it, Unavailable.

    The first claim of an id in the batch competes for it, the others meet what it left. A row that disappears
    between the two statements (swept, or the neighbour that held it was refused) is competed for again.
    """
    answers: dict[int, Claimed] = {}
    for _ in range(_ROUNDS):
        pending = [place for place in range(len(batch)) if place not in answers]
        if not pending:
            break
        met = await _insert(pool, batch, pending, answers)
        await _meet(pool, batch, met, answers)
    if len(answers) < len(batch):
        raise Unavailable("claims appear and disappear while they are read; repeat the batch")
    return [answers[place] for place in range(len(batch))]


async def _insert(pool: Pool, batch: Sequence[Claim], pending: list[int], answers: dict[int, Claimed]) -> list[int]:
    """Claims the first of each id; returns the places that met an existing row."""
    first: dict[tuple[str, str], int] = {}
    for place in pending:
        first.setdefault((batch[place].tenant, batch[place].id), place)
    ordered = [first[key] for key in sorted(first)]
    rows = await pool.fetch(_SQL["claim"], *columns([_columns(batch[place]) for place in ordered], 11))
    special = {ordered[n]: cancelled for n, cancelled in rows}
    new, cancelled = (Claimed(Standing.NEW, 1, State.ACCEPTED, cancelled=asked) for asked in (False, True))
    answers.update((place, new) for place in ordered if place not in special)
    answers.update((place, cancelled) for place, asked in special.items() if asked)
    return [place for place in pending if place not in answers]


def _columns(claim: Claim) -> tuple[Any, ...]:
    source = claim.source
    return (
        claim.tenant,
        claim.id,
        claim.body_hash,
        source.topic,
        source.partition,
        source.offset,
        claim.call,
        claim.lane,
        claim.submitted_at,
        claim.deadline,
        claim.fail_on_unknown,
    )


async def _meet(pool: Pool, batch: Sequence[Claim], places: list[int], answers: dict[int, Claimed]) -> None:
    if not places:
        return
    tenants, ids = [batch[place].tenant for place in places], [batch[place].id for place in places]
    rows = await pool.fetch(_SQL["existing"], tenants, ids)
    wanting: dict[tuple[str, str], tuple[int, Row]] = {}
    for row in rows:
        place = places[row["n"]]
        if restarts(batch[place], _held(row)):
            wanting.setdefault((batch[place].tenant, batch[place].id), (place, row))
        else:
            answers[place] = _claimed(batch[place], row)
    await _restart(pool, batch, (wanting[key] for key in sorted(wanting)), answers)


async def _restart(
    pool: Pool, batch: Sequence[Claim], wanting: Iterable[tuple[int, Row]], answers: dict[int, Claimed]
) -> None:
    """New runs (rule L3). A row that somebody else restarted meanwhile stays unanswered: it is met again."""
    ordered = list(wanting)
    if not ordered:
        return
    given = [_rerun_columns(batch[place], row["run"]) for place, row in ordered]
    for row in await pool.fetch(_SQL["rerun"], *columns(given, 12)):
        place, _ = ordered[row["n"]]
        answers[place] = Claimed(Standing.NEW, row["run"], State.ACCEPTED, epoch=row["epoch"])


def _rerun_columns(claim: Claim, run: int) -> tuple[Any, ...]:
    tenant, id, *rest = _columns(claim)
    return (tenant, id, run, *rest)


def _held(row: Row) -> Held:
    return Held(
        run=row["run"],
        state=State(row["state"]),
        body_hash=row["body_hash"],
        source=Source(row["source_topic"], row["source_partition"], row["source_offset"]),
        settled_by=row["settled_by"],
        emitted=row["emitted_at"] is not None,
        dispatched=row["dispatched"],
    )


def _claimed(claim: Claim, row: Row) -> Claimed:
    held = _held(row)
    return Claimed(standing(claim, held), held.run, held.state, row["result"], row["epoch"], row["cancel_requested"])
