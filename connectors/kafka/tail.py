"""Reading topics without a group: from a point in time, up to now or for as long as somebody listens."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from connectors.kafka import reading
from connectors.kafka.errors import translate
from domain.ports import Item

_TIMEOUT_S = 10.0
_IDLE_S = 3.0
_SILENCE_MS = 2000  # the broker answers when there is something; a reader of few topics need not ask again and again
_MOVING = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART)
T = TypeVar("T")


class Tail:
    """Blocking; for the command line. Commits nothing, and belongs to no group that anybody could disturb.

    since:  None starts at what is written after the constructor returned, else at the first record of that time
    """

    def __init__(
        self, connection: Mapping[str, Any], topics: Sequence[str], since: datetime | None, prefix: str = ""
    ) -> None:
        self._names = {prefix + topic: topic for topic in topics}
        config = reading.configuration(connection, f"tail-{uuid4()}", None)
        self._client = Consumer({**config, **reading.QUIET, "fetch.wait.max.ms": _SILENCE_MS})
        try:
            self._ends = _patiently(self._find_ends)
            starts = dict(self._ends) if since is None else _patiently(lambda: self._find_starts(since))
            self._left = {place for place, end in self._ends.items() if starts[place] < end}
            self._client.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
        except KafkaException as error:
            self._client.close()
            raise translate(error.args[0], f"read {', '.join(self._names)}") from error

    def until_caught_up(self) -> Iterator[Item]:
        """Everything that was there at the start.

        A transaction's marker at the end of a partition is never delivered, so 3 s of silence end it too.
        """
        heard = time.monotonic()
        while self._left and time.monotonic() - heard < _IDLE_S:
            for item in self.read(0.2):
                heard = time.monotonic()
                yield item

    def read(self, seconds: float) -> list[Item]:
        """What is there as soon as something is, at most 500 items; nothing after so many seconds."""
        messages = reading.consume(self._client, 1, seconds, grouped=False)
        if messages:
            messages += reading.consume(self._client, 499, 0, grouped=False)
        self._left -= {place for place in self._left if self._position(place) >= self._ends[place]}
        return reading.items(messages, self._names)

    def close(self) -> None:
        self._client.close()

    def _position(self, place: tuple[str, int]) -> int:
        return self._client.position([TopicPartition(*place)])[0].offset

    def _find_ends(self) -> dict[tuple[str, int], int]:
        ends = {}
        for name in self._names:
            metadata = self._client.list_topics(name, timeout=_TIMEOUT_S).topics[name]
            if metadata.error is not None:
                raise KafkaException(metadata.error)
            for partition in metadata.partitions:
                _, end = self._client.get_watermark_offsets(TopicPartition(name, partition), timeout=_TIMEOUT_S)
                ends[name, partition] = end
        return ends

    def _find_starts(self, since: datetime) -> dict[tuple[str, int], int]:
        milliseconds = int(since.timestamp() * 1000)
        asked = [TopicPartition(*place, milliseconds) for place in self._ends]
        found = self._client.offsets_for_times(asked, timeout=_TIMEOUT_S)
        # OFFSET_END: nothing is as young as that
        return {
            (p.topic, p.partition): self._ends[p.topic, p.partition] if p.offset in (OFFSET_END, -1) else p.offset
            for p in found
        }


def _patiently(work: Callable[[], T]) -> T:
    """Repeats while a topic is new or moves to another leader."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            return work()
        except KafkaException as error:
            if error.args[0].code() not in _MOVING or time.monotonic() > deadline:
                raise
        time.sleep(0.1)
