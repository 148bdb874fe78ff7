"""The sinks whose destinations are fakes, as subjects of the suite every sink passes."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

from connectors.google.access import Access
from connectors.google.bigquery import BigQuerySink
from connectors.google.sheets import SheetsSink
from connectors.google.spreadsheet import REMEDIES as SHEETS_REMEDIES
from connectors.google.spreadsheet import Spreadsheet
from connectors.google.streams import Streams
from connectors.google.tables import REMEDIES, SCOPES, Tables
from connectors.memory.stream_book import MemoryStreamBook
from connectors.snowflake.client import Account, Snowflake
from connectors.snowflake.sink import SnowflakeSink
from domain.ports import StreamBook
from domain.sinks.columns import TABLES
from tests.contract.sinks import Row, Subject
from tests.fakes.bigquery import BigQuery, bigquery
from tests.fakes.sheets import ID, sheets
from topics.table import EVENTS, RESULTS

DATASET = "project.results"
Given = dict[str, object]


def bigquery_sink(rest: str, write: str, book: StreamBook) -> BigQuerySink:
    access = Access(rest, None, SCOPES, "bigquery", REMEDIES)
    return BigQuerySink(f"bigquery {DATASET}", Tables(access, DATASET), Streams(access.credentials, write), book)


def rows_of(fake: BigQuery) -> list[Row]:
    return sorted(
        (topic, row["tenant"], row["event_id" if topic == EVENTS else "id"])
        for topic, table in TABLES.items()
        for row in fake.rows(f"{DATASET}.{table}")
    )


async def in_bigquery(_: Given) -> AsyncIterator[Subject]:
    async with bigquery(DATASET) as fake:

        async def held() -> list[Row]:
            return rows_of(fake)

        sink = bigquery_sink(fake.rest, fake.write, MemoryStreamBook())
        yield Subject(sink, held, bigquery_sink("http://127.0.0.1:1", "127.0.0.1:1", MemoryStreamBook()))


def sheets_sink(url: str, title: str = "results", id: str = ID) -> SheetsSink:
    """Without its pace: the fake has a quota of its own."""

    async def at_once(_: float) -> None:
        return

    access = Access(url, None, (), "sheets", SHEETS_REMEDIES)
    return SheetsSink(Spreadsheet(access, id, title), sleep=at_once)


async def in_sheets(_: Given) -> AsyncIterator[Subject]:
    async with sheets() as fake:

        async def held() -> list[Row]:
            return sorted((RESULTS, row["tenant"], row["id"]) for row in fake.rows("results"))

        yield Subject(sheets_sink(fake.url), held, sheets_sink("http://127.0.0.1:1"))


def snowflake_sink(url: str, schema: str) -> SnowflakeSink:
    return SnowflakeSink(Snowflake(Account("fakesnow", "fake", "ANALYTICS", schema, endpoint=url)))


async def in_snowflake(given: dict[str, Any]) -> AsyncIterator[Subject]:
    url, schema = given["snowflake_url"], f"S{secrets.token_hex(4)}".upper()
    reader = Snowflake(Account("fakesnow", "reader", "ANALYTICS", schema, endpoint=url))
    await reader.open()

    async def held() -> list[Row]:
        rows: list[Row] = []
        for topic, table in TABLES.items():
            key = "event_id" if topic == EVENTS else "id"
            rows += [(topic, *found) for found in await reader.run(f"SELECT tenant, {key} FROM {table}")]
        return sorted(rows)

    yield Subject(snowflake_sink(url, schema), held, snowflake_sink("http://127.0.0.1:1", schema))
    await reader.close()
