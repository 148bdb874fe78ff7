"""Clients and processes that are one user of a broker with rights."""

import json
from contextlib import suppress

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from connectors.kafka import admin, security
from domain.errors import Unavailable
from domain.settings import Settings, load
from tests.kafka.secured import PASSWORD, SecuredKafka
from tests.line.processes import TENANT
from topics.table import with_tenants

PREFIX = "line."
"""Of the topics that the requests go through; the others are those that the refusals are tried on."""


def settings(kafka: dict[str, str]) -> Settings:
    """Of a process that asks nothing but Kafka."""
    other = {
        "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c", "REDIS_URL": "redis://127.0.0.1:1/0",
        "CLICKHOUSE_URL": "http://127.0.0.1:1/d", "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
    }  # fmt: skip
    return load(other | kafka, str)


def as_user(broker: SecuredKafka, user: str, password: str = PASSWORD) -> dict[str, str]:
    """The settings of a process that is `user`."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.secure, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SSL_CAFILE": str(broker.cafile), "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": user, "KAFKA_SASL_PASSWORD": password,
    }  # fmt: skip


def client(named: dict[str, str]) -> dict[str, object]:
    return {**security.librdkafka(settings(named)), "log_level": 0}


def applied(broker: SecuredKafka) -> bool:
    """Whether the topics of the line are there."""
    with suppress(Unavailable):
        operator = {"KAFKA_BOOTSTRAP_SERVERS": broker.url, "STRUCTURED_PROMPT_TOPIC_PREFIX": PREFIX}
        admin.apply(settings(operator), with_tenants([TENANT]))
        return True
    return False


def produced(named: dict[str, str], topic: str, body: dict[str, object]) -> KafkaError | None:
    """What became of it: None when the broker took it."""
    said: list[KafkaError | None] = []
    producer = Producer({**client(named), "message.timeout.ms": 30_000})
    producer.produce(topic, json.dumps(body), callback=lambda error, _: said.append(error))
    assert producer.flush(60) == 0
    return said[0]


def read(named: dict[str, str], topic: str, partitions: int, id: str | None = None) -> dict[str, object]:
    """The first record, or the first of this id."""
    consumer = Consumer({**client(named), "group.id": "reader", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        while True:
            message = consumer.poll(90)
            assert message is not None
            assert message.error() is None
            found = dict(json.loads(message.value()))
            if id in (None, found["id"]):
                return found
    finally:
        consumer.close()


def unreadable(consumer: Consumer, topic: str) -> bool:
    """Whether the broker says so, of the topic or of a fetch."""
    error = consumer.list_topics(topic, timeout=60).topics[topic].error
    if error is not None:
        return bool(error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED)
    consumer.assign([TopicPartition(topic, 0, 0)])
    while (message := consumer.poll(60)) is not None:
        if message.error() is None:
            return False
        if message.error().code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return True
    return False
