"""The decoder of events in frames: finds the schema of each, and reads it with what was made of that once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from connectors.registry.client import Schema, SchemaRegistry
from domain.sources.decoding import FRAME, schema_number
from domain.sources.mapping import Unmappable

Read = Callable[[bytes], Any]
MOST_SCHEMAS = 10_000


class RegistryDecoder:
    """Implements domain.ports.Decoder.

    compile: makes the reader of one schema, in a thread; raises Unmappable.
    """

    def __init__(self, registry: SchemaRegistry, compile: Callable[[Schema], Read]) -> None:
        self._registry = registry
        self._compile = compile
        self._readers: dict[int, Read | Unmappable] = {}

    async def load(self, values: Sequence[bytes]) -> None:
        """Each schema once; one that is not known, or of another kind, is remembered for these values only."""
        self._readers = {number: read for number, read in self._readers.items() if not isinstance(read, Unmappable)}
        if len(self._readers) > MOST_SCHEMAS:
            self._readers.clear()
        for number in {_number(value) for value in values} - self._readers.keys():
            if number is not None:
                self._readers[number] = await self._reader(number)

    def decode(self, value: bytes) -> Any:
        read = self._readers.get(schema_number(value))
        if read is None:
            raise Unmappable("the schema of the record was not loaded")
        if isinstance(read, Unmappable):
            raise Unmappable(str(read))
        return read(value[FRAME:])

    async def close(self) -> None:
        await self._registry.close()

    async def _reader(self, number: int) -> Read | Unmappable:
        try:
            return await asyncio.to_thread(self._compile, await self._registry.schema(number))
        except Unmappable as error:
            return error


def _number(value: bytes) -> int | None:
    try:
        return schema_number(value)
    except Unmappable:
        return None
