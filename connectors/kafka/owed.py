"""Offsets that were asked to be committed and are not yet. Used on the consumer's thread."""

from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.kafka import reading
from domain.sinks.model import Place


class Owed:
    """A rebalance may refuse a commit; what stayed with this member is owed until it is over."""

    def __init__(self) -> None:
        self._ends: dict[Place, int] = {}

    def add(self, ends: Mapping[Place, int]) -> None:
        self._ends |= ends

    def forget(self, places: Iterable[Place]) -> None:
        for place in places:
            self._ends.pop(place, None)

    def pay(self, client: Consumer, topics: Mapping[str, str]) -> None:
        """`topics` are the names with the prefix. Raises Conflict when fenced, Unavailable when it stays owed."""
        if not self._ends:
            return
        offsets = {(topics[name], partition): (name, partition) for name, partition in self._ends}
        asked = [TopicPartition(*here, self._ends[place]) for here, place in offsets.items()]
        try:
            done = client.commit(offsets=asked, asynchronous=False)
        except KafkaException as error:
            reading.judge(error.args[0])
            return
        faults = {offsets[one.topic, one.partition]: one.error for one in done or ()}
        self.forget([place for place, fault in faults.items() if fault is None])
        for fault in filter(None, faults.values()):
            reading.judge(fault)
