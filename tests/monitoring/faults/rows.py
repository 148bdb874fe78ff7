"""A database of ClickHouse, as whoever administers it sees it."""

import asyncio
from dataclasses import dataclass

from connectors.clickhouse.client import ClickHouse


@dataclass(frozen=True)
class Rows:
    url: str

    def execute(self, statement: str) -> None:
        async def work() -> None:
            async with ClickHouse(self.url) as clickhouse:
                await clickhouse.execute(statement)

        asyncio.run(work())

    def count(self, table: str) -> int:
        return int(self.ask(f"SELECT count() AS it FROM {table} FINAL"))

    def ask(self, statement: str) -> str:
        """The value that it calls `it`, of its one row."""

        async def work() -> str:
            async with ClickHouse(self.url) as clickhouse:
                return str((await clickhouse.select(statement, {}))[0]["it"])

        return asyncio.run(work())
