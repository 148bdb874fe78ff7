"""JSON events, and the frame that events have whose schema is in a registry. Pure.

The frame: a zero byte, the schema's number in four bytes, then the event ("wire format" of Confluent's serializers).
"""

from collections.abc import Sequence
from typing import Any

import orjson

from domain.sources.mapping import Unmappable

FRAME = 5


class JsonDecoder:
    """Implements domain.ports.Decoder. A frame before the JSON is passed over."""

    async def load(self, values: Sequence[bytes]) -> None:
        """Nothing is needed."""

    def decode(self, value: bytes) -> Any:
        try:
            return orjson.loads(value[FRAME:] if value.startswith(b"\x00") else value)
        except orjson.JSONDecodeError:
            raise Unmappable("the record is not JSON") from None

    async def close(self) -> None:
        """Nothing is held."""


def schema_number(value: bytes) -> int:
    """The number of the schema that a value was written with. Raises Unmappable."""
    if len(value) < FRAME or value[0] != 0:
        raise Unmappable("the record does not begin with a zero byte and the number of a schema")
    return int.from_bytes(value[1:FRAME], "big")
