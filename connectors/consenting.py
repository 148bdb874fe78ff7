"""No answer leaves whose tenant has not agreed: a sink's results without their `output` and without what quotes it."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from domain.errors import Unavailable
from domain.ports import Item, Refused, Sink
from topics.packed import packed
from topics.table import RESULTS

LOOK_EVERY_S = 5.0


class Consenting:
    """Implements domain.ports.Sink around another.

    agreed:  the tenants whose answers may be kept; asked at most every 5 s. While it does not answer the last answer
             holds; Unavailable where there is none yet.
    """

    def __init__(
        self,
        sink: Sink,
        agreed: Callable[[], Awaitable[frozenset[str]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._agreed = agreed
        self._clock = clock
        self._known: frozenset[str] | None = None
        self._due = 0.0
        self.topics = sink.topics

    async def open(self) -> None:
        await self._sink.open()

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        agreed = await self._tenants()
        given = [_without_answer(item, agreed) for item in batch]
        refused = await self._sink.write(given)
        if not refused:
            return refused
        # a dead letter holds the record as it came
        whole = {(item.topic, item.partition, item.offset): item for item in batch}
        return [Refused(whole[one.item[:3]], one.reason) for one in refused]

    async def close(self) -> None:
        await self._sink.close()

    async def _tenants(self) -> frozenset[str]:
        if self._known is None or self._clock() >= self._due:
            try:
                self._known = await self._agreed()
            except Unavailable:
                if self._known is None:
                    raise
            self._due = self._clock() + LOOK_EVERY_S
        return self._known


def _without_answer(item: Item, agreed: frozenset[str]) -> Item:
    """What cannot be read is left to the sink, which refuses it."""
    if item.topic != RESULTS:
        return item
    try:
        fields = orjson.loads(item.value)
    except orjson.JSONDecodeError:
        return item
    if not isinstance(fields, dict) or (fields.get("output") is None and fields.get("error") is None):
        return item
    tenant = fields.get("tenant")
    if isinstance(tenant, str) and tenant in agreed:
        return item
    return item._replace(value=packed({**fields, "output": None, "error": _without_quotes(fields.get("error"))}))


def _without_quotes(error: Any) -> Any:
    """Reasons quote what they object to: pieces of an answer, or of what was asked. The code says enough."""
    if not isinstance(error, dict):
        return error
    said = "withheld: its tenant does not store answers; the result on prompt.results has it"
    return {**error, "message": said, "errors": []}
