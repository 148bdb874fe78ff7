"""Exports straight from ClickHouse, which writes the rows in their format: none is decoded here."""

from collections.abc import AsyncIterator
from functools import cache
from importlib.resources import files

from connectors.clickhouse.client import ClickHouse, as_parameter
from domain.exports.model import Export, Format

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
_ABSENT_IS_EMPTY = (
    "error_code", "provider", "model", "cached", "template", "api_key_id", "batch_id", "output",
)  # fmt: skip


class ClickHouseExporter:
    """Implements domain.ports.Exporter."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def file(self, wanted: Export) -> AsyncIterator[bytes]:
        """Raises Unavailable."""
        columns = ",\n    ".join(_column(name, wanted.format) for name in wanted.fields)
        parameters = {
            "tenant": wanted.tenant,
            "after": wanted.after,
            "since": as_parameter(wanted.since),
            "until": as_parameter(wanted.until),
            "template": wanted.template or "",
            "status": wanted.status or "",
        }
        settings = {**_SETTINGS, "default_format": FORMATS[wanted.format]}
        pieces = self._clickhouse.stream(_query().replace("{columns}", columns), parameters, settings)
        async for piece in _framed(wanted, pieces):
            yield piece


async def _framed(wanted: Export, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """With what a format has before the first row and behind the last: rows alone can be streamed by any engine."""
    if wanted.format == "csv":
        first = await anext(pieces, b"")
        yield ",".join(f'"{name}"' for name in wanted.fields).encode() + b"\n" + first
    if wanted.format != "json":
        async for piece in pieces:
            yield piece
        return
    before, left = b"[\n", b""
    async for piece in pieces:
        # a line end is never inside of a row; the last one is held back, since nothing may follow the last row
        rows, left = left + piece, b""
        if rows.endswith(b"\n"):
            rows, left = rows[:-1], b"\n"
        yield before + rows.replace(b"\n", b",\n")
        before = b""
    yield before + b"\n]\n"


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


@cache
def _query() -> str:
    """Without its comment: an engine may look at how a statement begins."""
    text = files("connectors.clickhouse").joinpath("queries", "export.sql").read_text(encoding="utf-8")
    return text[text.index("SELECT") :]
