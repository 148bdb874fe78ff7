"""The stored ends of runs."""

from collections.abc import Sequence

from connectors.postgres.pool import Statements, columns
from connectors.postgres.queries import statements

_SQL = statements("settle")

Outcome = tuple[bytes | None, tuple[bytes, ...]]


async def outcomes(database: Statements, runs: Sequence[tuple[str, str, int]]) -> list[Outcome]:
    """The result and the usage records of each (tenant, id, run); (None, ()) where the run is not the last or open."""
    if not runs:
        return []
    rows = await database.fetch(_SQL["outcome"], *columns(runs, 3))
    found: dict[int, Outcome] = {row["n"]: (row["result"], tuple(row["usage"])) for row in rows}
    return [found.get(n, (None, ())) for n in range(len(runs))]
