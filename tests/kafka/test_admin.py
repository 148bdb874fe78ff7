"""Topics are created once, checked ever after, and never changed."""

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.kafka.admin import apply
from domain.errors import Unavailable
from domain.settings import Settings
from topics.table import CONTROL, MIB, TABLE


def settings(kafka, prefix=""):
    return Settings.model_validate(
        {
            "kafka": kafka,
            "database_url": "postgresql://x/x",
            "redis_url": "redis://x/0",
            "clickhouse_url": "http://x/x",
            "topic_prefix": prefix,
            "replication": 1,
        }
    )


@pytest.fixture
def client(engines, topic_prefix):
    client = AdminClient({"bootstrap.servers": engines.kafka})
    yield client
    mine = [name for name in client.list_topics(timeout=10).topics if name.startswith(topic_prefix)]
    for deleted in client.delete_topics(mine).values():
        deleted.result(10)


@pytest.mark.integration
def test_what_is_missing_is_created_and_what_differs_is_named(engines, topic_prefix, client):
    wrong = NewTopic(topic_prefix + CONTROL, 1, 1, config={"retention.ms": "1000"})
    client.create_topics([wrong])[topic_prefix + CONTROL].result(10)
    first = apply(settings(engines.kafka, topic_prefix), TABLE)
    assert [report.name for report in first] == [topic_prefix + topic.name for topic in TABLE]
    assert {report.state for report in first[:-1]} == {"created"}
    assert first[-1].state == "differs"
    assert "cleanup.policy=delete, compact wanted" in first[-1].differences
    again = apply(settings(engines.kafka, topic_prefix), TABLE)
    assert [(report.state, report.differences) for report in again[:-1]] == [("ok", ())] * (len(TABLE) - 1)
    assert again[-1] == first[-1]


def test_a_topic_takes_its_largest_value_and_a_whole_batch_of_small_ones():
    from connectors.kafka.admin import configuration
    from connectors.kafka.producer import KafkaProducer

    batch = KafkaProducer({})._config["batch.size"]
    for topic in TABLE:
        limit = int(configuration(topic, 3)["max.message.bytes"])
        assert limit >= max(topic.max_bytes, MIB, batch) + 64 * 1024


def test_without_a_broker_it_says_what_is_wrong(monkeypatch):
    monkeypatch.setattr("connectors.kafka.admin._TIMEOUT_S", 0.3)
    with pytest.raises(Unavailable, match="KAFKA_BOOTSTRAP_SERVERS"):
        apply(settings("127.0.0.1:1"), TABLE)
