"""Exports of what is in a MemorySink: the twin of connectors/clickhouse/exporter.py."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from connectors.memory.sink import MemorySink
from domain.exports.framing import Framer
from domain.exports.model import Export, Step
from topics.base import format_money, format_time
from topics.result import PromptResult


class MemoryExporter:
    """Implements domain.ports.Exporter; keeps everybody's answers. Parquet needs the extra of that name."""

    def __init__(self, sink: MemorySink) -> None:
        self._sink = sink

    async def file(self, wanted: Export) -> AsyncIterator[bytes]:
        framer = Framer(wanted)
        async for piece in self.rows(wanted):
            yield framer.piece(piece)
        yield framer.end()

    async def rows(self, wanted: Export) -> AsyncIterator[bytes]:
        rows = [_fields(result) for result in self._found(wanted)]
        for piece in _encoded(wanted, [{name: row[name] for name in wanted.fields} for row in rows]):
            yield piece

    async def step(self, wanted: Export, rows: int) -> Step:
        found = self._found(wanted)[:rows]
        return Step(len(found), found[-1].id if found else "")

    async def count(self, wanted: Export) -> int:
        return len(self._found(wanted))

    def _found(self, wanted: Export) -> list[PromptResult]:
        found = sorted(self._sink.results.values(), key=lambda result: result.id.encode())
        return [result for result in found if _is_wanted(result, wanted)]


def _is_wanted(result: PromptResult, wanted: Export) -> bool:
    template = result.template.name if result.template else None
    return (
        result.tenant == wanted.tenant
        and result.id > wanted.after
        and (result.id <= wanted.upto or not wanted.upto)
        and wanted.since <= result.completed_at < wanted.until
        and wanted.template in (None, template)
        and wanted.status in (None, result.status)
    )


def _fields(result: PromptResult) -> dict[str, Any]:
    whole = {**result.usage.model_dump(), **result.timings.model_dump(), **dict(result)}
    output = result.output
    return {
        **whole,
        "error_code": result.error.code if result.error else None,
        "template": result.template.name if result.template else None,
        "template_version": result.template.version if result.template else None,
        "cost_usd": format_money(result.usage.cost_usd),
        "submitted_at": format_time(result.submitted_at),
        "completed_at": format_time(result.completed_at),
        "output": None if output is None else output if isinstance(output, str) else orjson.dumps(output).decode(),
    }


def _encoded(wanted: Export, rows: Sequence[dict[str, Any]]) -> list[bytes]:
    if wanted.format in ("json", "jsonl"):
        return [orjson.dumps(row) + b"\n" for row in rows]
    if wanted.format == "parquet":
        return [_parquet(wanted.fields, rows)]
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    for row in rows:
        cells = {**row, "tags": orjson.dumps(row["tags"]).decode()} if "tags" in row else row
        writer.writerow(["\\N" if cells[name] is None else cells[name] for name in wanted.fields])
    return [text.getvalue().encode()]


def _parquet(names: Sequence[str], rows: Sequence[dict[str, Any]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    columns = {name: [row[name] for row in rows] for name in names}
    if "tags" in columns:
        columns["tags"] = pyarrow.array(
            [list(tags.items()) for tags in columns["tags"]], pyarrow.map_("string", "string")
        )
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()
