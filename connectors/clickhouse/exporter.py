"""Exports straight from ClickHouse, which writes the rows in their format: none is decoded here."""

from collections.abc import AsyncIterator
from functools import cache
from importlib.resources import files

from connectors.clickhouse.client import ClickHouse, as_parameter
from domain.exports.framing import Framer
from domain.exports.model import Export, Format, Step

FORMATS: dict[Format, str] = {
    "csv": "CSV",
    "json": "JSONEachRow",
    "jsonl": "JSONEachRow",
    "parquet": "Parquet",
}
_SETTINGS = {
    "date_time_output_format": "iso",
    "output_format_json_quote_decimals": "1",
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_map_as_array_of_tuples": "0",
    "output_format_parquet_string_as_string": "1",
    # small blocks: what is under way is what is in memory
    "max_block_size": "8192",
    "max_threads": "2",
    "optimize_read_in_order": "1",
    "output_format_parquet_row_group_size": "50000",
}
_ID = "r.id AS id"
_ABSENT_IS_EMPTY = (
    "error_code", "provider", "model", "cached", "template", "api_key_id", "batch_id", "output",
)  # fmt: skip


class ClickHouseExporter:
    """Implements domain.ports.Exporter."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def file(self, wanted: Export) -> AsyncIterator[bytes]:
        """Raises Unavailable."""
        framer = Framer(wanted)
        async for piece in self.rows(wanted):
            yield framer.piece(piece)
        yield framer.end()

    async def rows(self, wanted: Export) -> AsyncIterator[bytes]:
        """Raises Unavailable."""
        columns = ",\n    ".join(_column(name, wanted.format) for name in wanted.fields)
        settings = {**_SETTINGS, "default_format": FORMATS[wanted.format]}
        async for piece in self._clickhouse.stream(_query(columns), _parameters(wanted), settings):
            yield piece

    async def step(self, wanted: Export, rows: int) -> Step:
        sql = _query(_ID, "LIMIT {rows:UInt32}").join(("SELECT count() AS rows, max(id) AS last FROM (", ")"))
        found = await self._clickhouse.select(sql, {**_parameters(wanted), "rows": str(rows)})
        return Step(int(found[0]["rows"]), str(found[0]["last"]))

    async def count(self, wanted: Export) -> int:
        sql = _query(_ID).join(("SELECT count() AS rows FROM (", ")"))
        found = await self._clickhouse.select(sql, _parameters(wanted))
        return int(found[0]["rows"])


def _parameters(wanted: Export) -> dict[str, str]:
    return {
        "tenant": wanted.tenant,
        "after": wanted.after,
        "upto": wanted.upto,
        "since": as_parameter(wanted.since),
        "until": as_parameter(wanted.until),
        "template": wanted.template or "",
        "status": wanted.status or "",
    }


def _column(name: str, format: Format) -> str:
    if name in _ABSENT_IS_EMPTY:
        return f"nullIf(toString(r.{name}), '') AS {name}"
    if name == "template_version":
        return f"nullIf(r.{name}, 0) AS {name}"
    if name in ("tenant", "status"):
        return f"toString(r.{name}) AS {name}"
    if name == "tags" and format == "csv":
        return "toJSONString(r.tags) AS tags"
    return f"r.{name} AS {name}"


def _query(columns: str, limit: str = "") -> str:
    return _text().replace("{columns}", columns).replace("{limit}", limit)


@cache
def _text() -> str:
    """Without its comment: an engine may look at how a statement begins."""
    text = files("connectors.clickhouse").joinpath("queries", "export.sql").read_text(encoding="utf-8")
    return text[text.index("SELECT") :]
