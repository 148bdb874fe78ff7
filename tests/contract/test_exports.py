"""What every exporter does."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow.parquet
import pytest

from connectors.clickhouse.answers import store_answers
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.exporter import ClickHouseExporter
from connectors.clickhouse.migrate import apply
from connectors.clickhouse.sink import ClickHouseSink
from connectors.memory.exporter import MemoryExporter
from connectors.memory.sink import MemorySink
from domain.errors import InvalidRequest, Unavailable
from domain.exports.model import FIELDS, FORMATS, Export, Format, check_fields
from domain.ports import Exporter, Sink
from tests.contract.messages import NOON, result
from topics.base import format_time

HOUR = timedelta(hours=1)
ALL = Export("acme", "jsonl", FIELDS, NOON - 24 * HOUR, NOON + 24 * HOUR)


@dataclass
class Place:
    sink: Sink
    exporter: Exporter

    async def rows(self, wanted: Export) -> list[dict[str, Any]]:
        return READERS[wanted.format](b"".join([piece async for piece in self.exporter.file(wanted)]))

    async def ids(self, **changed: Any) -> list[str]:
        return [row["id"] for row in await self.rows(replace(ALL, **changed))]


def from_csv(body: bytes) -> list[dict[str, Any]]:
    rows = csv.DictReader(io.StringIO(body.decode()))
    return [{name: None if text == "\\N" else text for name, text in row.items()} for row in rows]


READERS: dict[Format, Callable[[bytes], list[dict[str, Any]]]] = {
    "csv": from_csv,
    "json": json.loads,
    "jsonl": lambda body: [json.loads(line) for line in body.splitlines()],
    "parquet": lambda body: pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist(),
}


@pytest.fixture(params=["memory", pytest.param("clickhouse", marks=pytest.mark.integration)])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    if request.param == "memory":
        twin = MemorySink()
        yield Place(twin, MemoryExporter(twin))
        return
    async with ClickHouse(request.getfixturevalue("clickhouse_url")) as clickhouse:
        await apply(clickhouse)
        await store_answers(clickhouse, "acme", True)
        sink = ClickHouseSink(clickhouse)
        await sink.open()
        yield Place(sink, ClickHouseExporter(clickhouse))


@pytest.mark.parametrize("format", FORMATS)
async def test_every_field_in_every_format(place: Place, format: Format) -> None:
    odd = 'a "quoted", line\nand ü'
    template = {"name": "sentiment", "version": 2}
    await place.sink.write([result("r1", template=template, output=odd), result("r2", output=None, status="failed",
                            error={"code": "internal", "message": "no"}, model=None, provider=None)])  # fmt: skip
    first, second = await place.rows(replace(ALL, format=format))
    assert list(first) == list(FIELDS)
    for row in (first, second):
        if isinstance(row["completed_at"], datetime):
            row |= {name: format_time(row[name]) for name in ("submitted_at", "completed_at")}
        row["tags"] = json.loads(row["tags"]) if format == "csv" else dict(row["tags"])
        row["cost_usd"] = Decimal(row["cost_usd"])
    numbers = {"run": 1, "input_tokens": 31, "output_tokens": 8, "attempts": 1, "queued_ms": 4, "total_ms": 421}
    assert {name: int(first[name]) for name in numbers} == numbers
    assert int(first["template_version"]) == 2
    texts = ("tenant", "id", "status", "error_code", "provider", "model", "cached", "template", "output")
    assert [first[name] for name in texts] == [
        "acme", "r1", "completed", None, "simulated", "small", None, "sentiment", odd,
    ]  # fmt: skip
    assert (first["tags"], first["cost_usd"], first["completed_at"]) == (
        {"team": "support"}, Decimal("0.0000094"), "2026-11-20T12:00:00.000Z",
    )  # fmt: skip
    assert [second[name] for name in texts] == ["acme", "r2", "failed", "internal", None, None, None, None, None]
    assert second["template_version"] is None


@pytest.mark.parametrize("format", FORMATS)
async def test_an_export_of_nothing_can_be_read(place: Place, format: Format) -> None:
    assert await place.rows(replace(ALL, format=format)) == []


async def test_which_results_are_in_it(place: Place) -> None:
    template = {"name": "sentiment", "version": 1}
    await place.sink.write([
        result("new"), result("old", completed_at=NOON - 25 * HOUR), result("edge", completed_at=NOON + 24 * HOUR),
        result("failed", status="failed", output=None), result("other", tenant="globex"),
        result("t", template=template),
        result("new", run=2, completed_at=NOON + HOUR), result("first", completed_at=NOON - 24 * HOUR),
    ])  # fmt: skip
    assert await place.ids() == ["failed", "first", "new", "t"]
    assert await place.ids(status="completed") == ["first", "new", "t"]
    assert await place.ids(template="sentiment") == ["t"]
    assert await place.ids(tenant="globex") == ["other"]
    assert await place.ids(tenant="acme' OR 1 = 1 --") == []
    assert [row["run"] for row in await place.rows(replace(ALL, fields=("run",), after="first"))] == [2, 1]


async def test_fields_come_in_the_order_that_was_asked_for(place: Place) -> None:
    await place.sink.write([result("r1")])
    (row,) = await place.rows(replace(ALL, format="csv", fields=("status", "id")))
    assert list(row.items()) == [("status", "completed"), ("id", "r1")]


async def test_an_export_goes_on_behind_the_last_id(place: Place) -> None:
    await place.sink.write([result(f"r{n:04}") for n in range(3000)])
    assert await place.ids() == [f"r{n:04}" for n in range(3000)]
    assert await place.ids(after="r2995") == ["r2996", "r2997", "r2998", "r2999"]


def test_an_unknown_field_is_named_with_a_near_one() -> None:
    assert check_fields(None) == FIELDS
    with pytest.raises(InvalidRequest) as raised:
        check_fields(["id", "costs_usd", "id"])
    assert [one.path for one in raised.value.problems] == ["/fields/1", "/fields/2"]
    assert "did you mean 'cost_usd'" in raised.value.problems[0].message


async def test_a_database_that_is_away_says_so() -> None:
    async with ClickHouse("http://app:topsecret@127.0.0.1:1/none") as clickhouse:
        with pytest.raises(Unavailable) as raised:
            await anext(ClickHouseExporter(clickhouse).file(ALL))
    assert "topsecret" not in str(raised.value)
