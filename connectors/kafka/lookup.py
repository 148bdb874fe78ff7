"""Whether a topic is there, asked by its name without making it."""

from confluent_kafka import Consumer, KafkaError, Producer

_ASK_S = 2.0
_MISSING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)


def fault_of(client: Consumer | Producer, topic: str) -> KafkaError | None:
    """What is wrong with the topic; None when nothing is. Blocks. Raises KafkaException when no broker answers."""
    fault: KafkaError | None = client.list_topics(topic, timeout=_ASK_S).topics[topic].error
    return fault


def is_missing(fault: KafkaError) -> bool:
    return fault.code() in _MISSING
