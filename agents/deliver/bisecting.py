"""The one item a destination refuses, where the destination only says that there is one."""

from collections.abc import Sequence

from domain.errors import BatchRefused
from domain.ports import Item, Refused, Sink


class Bisecting:
    """Implements domain.ports.Sink around another: a batch that is refused whole is written by halves.

    About 2 log2(n) more writes a refused item, in the order of the batch.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.topics = sink.topics

    async def open(self) -> None:
        await self._sink.open()

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        try:
            return await self._sink.write(batch)
        except BatchRefused as error:
            if len(batch) == 1:
                return [Refused(batch[0], str(error))]
        middle = len(batch) // 2
        return [*await self.write(batch[:middle]), *await self.write(batch[middle:])]

    async def close(self) -> None:
        await self._sink.close()
