"""prompt.results, prompt.usage and prompt.events onto topics of another cluster, with keys and headers as they are."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connectors.kafka.producer import KafkaProducer
from domain.errors import BatchRefused, Permanent, Unavailable
from domain.ports import Item, Record, Refused
from topics.table import EVENTS, RESULTS, USAGE

SOURCE = "sp_source"
SETTINGS = "STRUCTURED_PROMPT_SINK_KAFKA_"
_OF_OURS = re.compile(r"\bKAFKA_")


class KafkaMirror:
    """Implements domain.ports.Sink over the producer of the other cluster.

    A record that is carried twice is there twice, as on any topic of ours, with the same header `sp_source`: its topic
    without the prefix, partition and offset here, as `prompt.results/3@17`.
    """

    topics: tuple[str, ...] = (RESULTS, USAGE, EVENTS)

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer

    async def open(self) -> None:
        """Raises Unavailable."""
        with _its_settings():
            await self._producer.open()

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        """Raises Unavailable, BatchRefused where the other cluster will never take one of them."""
        try:
            with _its_settings():
                await self._producer.send([_record(item) for item in batch])
        except Permanent as error:
            raise BatchRefused(str(error)) from error
        return []

    async def close(self) -> None:
        await self._producer.close()


@contextmanager
def _its_settings() -> Iterator[None]:
    """What is to be checked are those of the other cluster."""
    try:
        yield
    except Unavailable as error:
        raise Unavailable(_OF_OURS.sub(SETTINGS, str(error)), error.retry_after) from error


def _record(item: Item) -> Record:
    source = f"{item.topic}/{item.partition}@{item.offset}".encode()
    kept = [header for header in item.headers if header[0] != SOURCE]
    return Record(item.topic, item.value, item.key, [*kept, (SOURCE, source)])
