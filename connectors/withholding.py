"""A sink's records without what its operator holds back."""

from collections.abc import Sequence

import orjson

from domain.ports import Item, Refused, Sink
from domain.safety.withholding import Withheld
from topics.packed import packed


class Withholding:
    """Implements domain.ports.Sink around another, which never sees what is withheld. A dead letter is whole."""

    def __init__(self, sink: Sink, withheld: Withheld) -> None:
        self._sink = sink
        self._withheld = withheld
        self.topics = sink.topics

    async def open(self) -> None:
        await self._sink.open()

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        refused = await self._sink.write([self._rest(item) for item in batch])
        if not refused:
            return refused
        whole = {(item.topic, item.partition, item.offset): item for item in batch}
        return [Refused(whole[one.item[:3]], one.reason) for one in refused]

    async def close(self) -> None:
        await self._sink.close()

    def _rest(self, item: Item) -> Item:
        """What cannot be read is emptied, and the sink refuses it: nobody can say what is in it."""
        try:
            fields = orjson.loads(item.value)
        except orjson.JSONDecodeError:
            fields = None
        rest = self._withheld.rest(fields) if isinstance(fields, dict) else None
        return item._replace(value=packed(rest))
