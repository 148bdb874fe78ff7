"""Orders to the operator's sinks and their reports, in PostgreSQL."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any

from connectors.postgres.pool import Pool
from connectors.postgres.queries import statements
from domain.sinks.model import Heard, Orders, Place, Report, Rewind, SinkView, parse_place, place_text

_SQL = statements("sinks")


class PostgresSinkBoard:
    """Implements domain.ports.SinkBoard."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def tell(self, report: Report) -> Orders:
        facts = (report.state, report.lag, report.rows, report.refused, report.errors, report.oldest_at, report.detail)
        row = await self._pool.row(_SQL["tell"], report.sink, report.member, *facts)
        return Orders() if row is None else _orders(row)

    async def rewound(self, sink: str, number: int, places: Iterable[Place]) -> None:
        await self._pool.fetch(_SQL["rewound"], sink, number, [place_text(place) for place in places])

    async def pause(self, sink: str, paused: bool) -> bool:
        return await self._pool.row(_SQL["pause"], sink, paused) is not None

    async def replay(self, sink: str, since: datetime | None, offsets: Mapping[Place, int]) -> int | None:
        places = [place_text(place) for place in offsets]
        row = await self._pool.row(_SQL["replay"], sink, since, places, list(offsets.values()))
        return None if row is None else int(row["replay"])

    async def look(self) -> list[SinkView]:
        rows = await self._pool.fetch(_SQL["look"])
        return [_view(name, list(members)) for name, members in groupby(rows, key=lambda row: str(row["sink"]))]


def _view(name: str, rows: list[Any]) -> SinkView:
    return SinkView(name, _orders(rows[0]), tuple(_heard(name, row) for row in rows if row["member"] is not None))


def _orders(row: Any) -> Orders:
    if not row["replay"]:
        return Orders(row["paused_at"])
    places = map(parse_place, row["replay_places"])
    rewind = Rewind(row["replay"], row["replay_since"], dict(zip(places, row["replay_offsets"], strict=True)))
    return Orders(row["paused_at"], rewind, frozenset(map(parse_place, row["replayed"])))


def _heard(sink: str, row: Any) -> Heard:
    counts = row["lag"], row["rows"], row["refused"], row["errors"]
    return Heard(Report(sink, row["member"], row["state"], *counts, row["oldest_at"], row["detail"]), row["seen_at"])
