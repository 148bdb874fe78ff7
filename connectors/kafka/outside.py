"""How far a consumer group is, for a process that will be its member and is not yet."""

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.kafka.errors import translate
from connectors.kafka.reading import PATIENCE_S
from domain.sinks.model import Place

log = logging.getLogger(__name__)


class Outside:
    """Asks with a consumer that subscribes to nothing, and so joins nothing. Blocks: use it on one thread.

    config: of the consumer that will be the member. names: topics with the prefix -> without
    """

    def __init__(self, config: Mapping[str, Any], names: Mapping[str, str]) -> None:
        self._config = {key: value for key, value in config.items() if key != "group.instance.id"}
        self._names = names
        self._client: Consumer | None = None

    def lag(self) -> dict[Place, int]:
        """Records behind what the group committed, of every partition; the first time as a new member would begin, at
        the oldest. A topic that does not exist is left out. Raises Unavailable.
        """
        if self._client is None:
            self._client = Consumer(self._config, logger=log)
        try:
            return self._lag(self._client)
        except KafkaException as error:
            raise translate(error.args[0], "read how far the group is") from error

    def _lag(self, client: Consumer) -> dict[Place, int]:
        places = []
        for topic in self._names:
            known = client.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions
            places += [TopicPartition(topic, number) for number in sorted(known)]
        lag = {}
        for here in client.committed(places, timeout=PATIENCE_S) if places else []:
            low, high = client.get_watermark_offsets(TopicPartition(here.topic, here.partition), timeout=PATIENCE_S)
            lag[self._names[here.topic], here.partition] = max(0, high - max(here.offset, low))
        return lag

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
