"""prompt.results, prompt.usage and prompt.events into PostgreSQL, a row a request, attempt and event."""

import re
from collections import defaultdict
from collections.abc import Sequence

from connectors.postgres.halving import halving
from connectors.postgres.pool import Pool, Statements, connect
from connectors.postgres.queries import statements
from connectors.postgres.sink_columns import Found, drifted, schema
from domain.errors import Permanent, Unavailable
from domain.ports import Item, Refused
from topics.table import EVENTS, RESULTS, USAGE

_SQL = statements("sink")
SETTING = "STRUCTURED_PROMPT_SINK_POSTGRES_URL"
TIMEOUT_S = 30.0
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_STATEMENTS = {RESULTS: "results", USAGE: "calls", EVENTS: "events"}


class PostgresSink:
    """Implements domain.ports.Sink. Upserts: a batch written twice, or an older run after a newer one, changes nothing.

    Any number of writes at the same time, each on one of `connections`.
    """

    topics = tuple(_STATEMENTS)

    def __init__(self, url: str, connections: int = 2) -> None:
        self._url = url
        self._connections = connections
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Creates schema and tables where they are missing. Raises Unavailable, also where a table has drifted."""
        if self._pool is None:
            self._pool = await connect(self._url, self._connections, TIMEOUT_S, setting=SETTING)
        row = await self._pool.row(_SQL["exists"])
        if row is None or not row["found"]:
            for statement in schema().split(";\n"):
                if statement.strip():
                    await self._pool.fetch(statement)
        await self._need_all_columns(self._pool)

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        by_topic: dict[str, list[Item]] = defaultdict(list)
        for item in batch:
            by_topic[item.topic].append(item)
        refused: list[Refused] = []
        for topic, items in by_topic.items():
            refused += await self._store(topic, items)
        return refused

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _store(self, topic: str, items: Sequence[Item]) -> list[Refused]:
        texts: list[tuple[Item, str]] = []
        refused = []
        for item in items:
            try:
                texts.append((item, _storable(item.value.decode())))
            except UnicodeDecodeError as error:
                refused.append(Refused(item, f"not UTF-8: {error.reason} at byte {error.start}"))

        async def run(part: Sequence[tuple[Item, str]]) -> list[None]:
            try:
                # the insert keeps the table as it is until the end: what is found then, it was written to
                async with self._live().transaction() as transaction:
                    await transaction.fetch(_SQL[_STATEMENTS[topic]], [text for _, text in part])
                    await self._need_all_columns(transaction)
            except Permanent:
                if len(part) == len(texts):
                    await self._need_all_columns(self._live())
                raise
            return [None] * len(part)

        answers = await halving(texts, run)
        refused += [
            Refused(item, str(answer))
            for (item, _), answer in zip(texts, answers, strict=True)
            if isinstance(answer, Permanent)
        ]
        return sorted(refused, key=lambda one: one.item.offset)

    async def _need_all_columns(self, where: Statements) -> None:
        """Raises Unavailable where one loses values, or must be filled and no record has it: no row is to blame."""
        found = [Found(*row) for row in await where.fetch(_SQL["columns"])]
        if (reason := drifted(found)) is not None:
            raise Unavailable(f"PostgreSQL's schema structured_prompt {reason}")

    def _live(self) -> Pool:
        if self._pool is None:
            raise Unavailable("the PostgreSQL sink is not open; call open() first")
        return self._pool


def _storable(text: str) -> str:
    r"""PostgreSQL's texts have no NUL: an escaped one, `\u0000`, becomes the replacement character."""
    return _NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text
