"""Where a topic ends and how far a group has come, asked with clients of its own."""

from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # public, stubs lack it

from tests.chaos.running import patiently

SECONDS: Final = 5


class Offsets:
    """Both answers map a partition to an offset. They raise ReadError when the broker does not answer for long."""

    def __init__(self, broker: str) -> None:
        self._broker = broker

    def _admin(self) -> AdminClient:
        # a new one for each question: one that knew the leader of before a restart is refused for good as fenced
        return AdminClient({"bootstrap.servers": self._broker, "log_level": 0})

    def ends(self, topic: str, partitions: int) -> dict[int, int]:
        wanted = {TopicPartition(topic, n): OffsetSpec.latest() for n in range(partitions)}

        def ask() -> dict[int, int]:
            admin = self._admin()
            futures = admin.list_offsets(wanted, request_timeout=SECONDS)
            return {place.partition: _of(future).offset for place, future in futures.items()}

        return dict(patiently(f"the ends of {topic}", ask))

    def committed(self, group: str, topic: str, partitions: int) -> dict[int, int]:
        """0 where nothing was committed yet."""
        request = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, n) for n in range(partitions)])

        def ask() -> dict[int, int]:
            admin = self._admin()
            futures = admin.list_consumer_group_offsets([request], request_timeout=SECONDS)
            found = _of(futures[group]).topic_partitions
            return {place.partition: max(0, place.offset) for place in found}

        return dict(patiently(f"the offsets of {group}", ask))


def _of(future: Any) -> Any:
    try:
        return future.result(SECONDS + 1)
    except KafkaException as error:
        raise OSError(str(error)) from error
