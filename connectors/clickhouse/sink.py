"""prompt.results, prompt.usage and prompt.events into ClickHouse, value by value as they are."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import orjson

from connectors.clickhouse.client import ClickHouse, Rows
from connectors.clickhouse.drift import Drift
from connectors.clickhouse.errors import BadRows, ServerTrouble
from domain.ports import Item, Refused
from topics.table import EVENTS, RESULTS, USAGE

INLETS = {RESULTS: "results_inlet", USAGE: "calls_inlet", EVENTS: "events_inlet"}
# Without these a value is not ours, whatever else it holds.
IDENTITY = {RESULTS: ("tenant", "id"), USAGE: ("tenant", "id"), EVENTS: ("event_id", "type")}


class ClickHouseSink:
    """Implements domain.ports.Sink. A batch written twice leaves one row each (rule C1)."""

    topics = tuple(INLETS)

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self._drift = Drift(clickhouse)

    async def open(self) -> None:
        """Raises Unavailable when the server does not answer, or a table would lose a value."""
        await self._clickhouse.open()
        self._drift.forget()
        await self._drift.check()

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        """Returns when the accepted items are stored, with the refused ones. Raises Unavailable.

        That is raised too when the tables lose a value once the items are stored: they are to be written again.
        """
        if not self._drift.known:
            await self._drift.check()
        by_topic: dict[str, list[Item]] = defaultdict(list)
        for item in batch:
            by_topic[item.topic].append(item)
        inserts = (self._insert(topic, items) for topic, items in by_topic.items())
        answers = await asyncio.gather(*inserts, return_exceptions=True)
        refused: list[Refused] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            refused += answer
        await self._drift.check()
        return refused

    async def close(self) -> None:
        await self._clickhouse.close()

    async def _insert(self, topic: str, items: Sequence[Item]) -> list[Refused]:
        if not items:
            return []
        try:
            await self._clickhouse.insert(INLETS[topic], Rows([item.value for item in items]))
        except BadRows as error:
            return await self._without_foreign(topic, items) or await self._halves(topic, items, str(error))
        except ServerTrouble:
            # An engine that stumbles over a broken value may name any code.
            refused = await self._without_foreign(topic, items)
            if not refused:
                raise
            return refused
        return []

    async def _without_foreign(self, topic: str, items: Sequence[Item]) -> list[Refused]:
        """Insert the items less those that cannot be ours; empty, with nothing inserted, when there are none."""
        reasons = [(item, foreign(topic, item.value)) for item in items]
        refused = [Refused(item, reason) for item, reason in reasons if reason]
        if not refused:
            return []
        return refused + await self._insert(topic, [item for item, reason in reasons if not reason])

    async def _halves(self, topic: str, items: Sequence[Item], reason: str) -> list[Refused]:
        """Down to the row that ClickHouse refuses: about 2 log2(n) inserts a bad row."""
        if len(items) == 1:
            return [Refused(items[0], reason)]
        middle = len(items) // 2
        return await self._insert(topic, items[:middle]) + await self._insert(topic, items[middle:])


def foreign(topic: str, value: bytes) -> str | None:
    """Why a value cannot have been written by us; None when it may have been."""
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return f"not JSON: {error}"
    if not isinstance(fields, dict):
        return "not a JSON object"
    missing = [name for name in IDENTITY[topic] if not (isinstance(fields.get(name), str) and fields[name])]
    return f"not a message of {topic}: {' and '.join(missing)} must be text" if missing else None
