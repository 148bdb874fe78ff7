"""Requests that somebody wants to end (rule L11)."""

from collections.abc import Sequence

from connectors.postgres.pool import Pool, columns
from connectors.postgres.queries import statements
from connectors.postgres.sweeping import woken
from domain.ledger.model import Cancel, Cancelling, Woken

_SQL = statements("cancel")


async def ask(pool: Pool, batch: Sequence[Cancel]) -> list[Cancelling]:
    """Answers in the order of the batch, which holds each request once."""
    ordered = sorted(range(len(batch)), key=lambda place: (batch[place].tenant, batch[place].id))
    given = [(batch[place].tenant, batch[place].id) for place in ordered]
    answers = [Cancelling.UNKNOWN] * len(batch)
    for n, met in await pool.fetch(_SQL["cancel"], *columns(given, 2)):
        answers[ordered[n]] = Cancelling(met)
    return answers


async def due(pool: Pool, limit: int) -> list[Woken]:
    return await woken(pool, await pool.fetch(_SQL["cancelled"], limit))


async def held_by(pool: Pool, worker: int) -> list[tuple[str, str, int]]:
    """What this worker is to leave."""
    return [(row["tenant"], row["id"], row["run"]) for row in await pool.fetch(_SQL["abandoned"], worker)]
