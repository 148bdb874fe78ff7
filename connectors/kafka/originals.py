"""Single records by their place, as long as the broker keeps them."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.kafka import reading
from connectors.kafka.errors import translate
from domain.ledger.model import Source

_TIMEOUT_S = 5.0


class KafkaOriginals:
    """Implements domain.ports.Originals. Topics of sources come with the prefix, as deliveries name them."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._connection = connection

    async def read(self, sources: Sequence[Source]) -> list[bytes | None]:
        return await asyncio.to_thread(self._read, sources) if sources else []

    def _read(self, sources: Sequence[Source]) -> list[bytes | None]:
        config = reading.configuration(self._connection, f"originals-{uuid4()}", None)
        config |= {**reading.QUIET, "enable.partition.eof": True}
        found: dict[int, bytes | None] = {}
        with closing(Consumer(config)) as client:
            # in the order of their places, so that neighbours come out of one fetch
            order = sorted(
                range(len(sources)), key=lambda n: (sources[n].topic, sources[n].partition, sources[n].offset)
            )
            for n in order:
                try:
                    found[n] = _one(client, sources[n])
                except KafkaException as error:
                    raise translate(error.args[0], f"read {sources[n].topic}") from error
        return [found[n] for n in range(len(sources))]


def _one(client: Consumer, source: Source) -> bytes | None:
    """None when the record is gone: swept from the start of its partition, or compacted away."""
    place = TopicPartition(source.topic, source.partition, source.offset)
    low, high = client.get_watermark_offsets(place, timeout=_TIMEOUT_S)
    if not low <= source.offset < high:
        return None
    client.assign([place])
    message = client.poll(_TIMEOUT_S)
    while message is not None and (error := message.error()) is not None and error.code() == reading.GROUPLESS:
        message = client.poll(_TIMEOUT_S)
    if message is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return message.value() if error is None and message.offset() == source.offset else None
