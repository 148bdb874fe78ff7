"""Fakes of destinations that count the rows they get and forget them: `python -m benchmarks.forgetful bigquery|sheets`.

For backlogs: a fake that kept them would fill the machine's memory. That of Snowflake is fakesnow, which keeps them in
tables of DuckDB. Each is a process of its own.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Self

from aiohttp import web

from benchmarks.held import COUNTS, SINK
from benchmarks.processes import Process
from benchmarks.warehouses import ROWS, settings
from tests.fakes.bigquery import bigquery
from tests.fakes.sheets import sheets

Counts = Callable[[], dict[str, int]]


class Head(list[Any]):
    """Rows: what is appended one by one (a tab's first row) is kept, of what comes in batches only the number."""

    def __init__(self) -> None:
        super().__init__()
        self.more = 0

    def __iadd__(self, rows: Iterable[Any]) -> Self:  # type: ignore[override,misc]
        self.more += sum(1 for _ in rows)
        return self

    def __len__(self) -> int:
        return super().__len__() + self.more


@contextmanager
def stand_in(name: str) -> Iterator[dict[str, str]]:
    """What a sink needs whose destination nobody has here: the settings of its fake, which runs until the end."""
    if name not in ROWS:
        yield {}
        return
    fake = Process(f"fake-{name}", ["tests.fakes.snowflake"] if name == "snowflake" else ["benchmarks.forgetful", name])
    try:
        given = settings(name, fake.wait_line("127.0.0.1", 120))
        counts = {} if name == "snowflake" else {COUNTS: fake.wait_line("counts ").split()[1]}
        yield {**{f"{SINK}{name.upper()}_{key}": value for key, value in given.items()}, **counts}
    finally:
        fake.stop()


@asynccontextmanager
async def _bigquery() -> AsyncIterator[tuple[str, Counts]]:
    async with bigquery("project.results") as fake:
        fake.kept = Head

        def counts() -> dict[str, int]:
            return {name.rpartition(".")[2]: len_of(fake.streams.values(), name) for name in fake.tables}

        def len_of(streams: Iterable[Any], table: str) -> int:
            return sum(len(one.rows) for one in streams if one.table == table)

        yield f"{fake.rest} {fake.write}", counts


@asynccontextmanager
async def _sheets() -> AsyncIterator[tuple[str, Counts]]:
    async with sheets() as fake:
        fake.kept = Head
        yield fake.url, lambda: {tab.title: len(tab.rows) - 1 for tab in fake.tabs}


FAKES: dict[str, Callable[[], AbstractAsyncContextManager[tuple[str, Counts]]]] = {
    "bigquery": _bigquery, "sheets": _sheets,
}  # fmt: skip


async def main(name: str) -> None:
    """Serve until killed: prints where, and where the number of rows of each table is to be had."""
    async with FAKES[name]() as (places, counts):

        async def counted(_: web.Request) -> web.Response:
            return web.json_response(counts())

        app = web.Application()
        app.router.add_get("/", counted)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(places, flush=True)
        print(f"counts http://127.0.0.1:{runner.addresses[0][1]}/", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
