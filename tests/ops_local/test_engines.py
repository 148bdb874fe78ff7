"""The engines behind the fixtures are real, and each test has a place of its own on them."""

import asyncpg
import clickhouse_connect
import pytest
import redis.asyncio as redis
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

pytestmark = pytest.mark.integration


def test_kafka_keeps_what_was_acked(engines, topic_prefix):
    topic = topic_prefix + "words"
    admin = AdminClient({"bootstrap.servers": engines.kafka})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(timeout=10)
    producer = Producer({"bootstrap.servers": engines.kafka, "acks": "all"})
    producer.produce(topic, b"hello")
    assert producer.flush(10) == 0
    consumer = Consumer(
        {"bootstrap.servers": engines.kafka, "group.id": topic_prefix + "g", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    try:
        message = consumer.poll(20)
        assert message is not None
        assert message.value() == b"hello"
    finally:
        consumer.close()
        admin.delete_topics([topic])[topic].result(timeout=10)


async def test_postgresql_is_durable_and_knows_vectors(database_url):
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("SHOW fsync") == "on"
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        assert await connection.fetchval("SELECT '[1,2]'::vector <-> '[1,2]'::vector") == 0
    finally:
        await connection.close()


async def test_postgresql_wants_its_password(engines):
    user, _, place = engines.database_url.partition("@")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"{user.rpartition(':')[0]}:wrong@{place}")


async def test_each_test_has_an_empty_redis(redis_url):
    async with redis.Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("k", 1)


def test_each_test_has_an_empty_clickhouse_database(clickhouse_url):
    client = clickhouse_connect.get_client(dsn=clickhouse_url)
    assert client.command("SHOW TABLES") in ("", None, [])
    client.close()


async def test_no_test_reaches_a_stranger():
    import asyncio

    with pytest.raises(AssertionError, match=r"192\.0\.2\.1"):
        await asyncio.wait_for(asyncio.open_connection("192.0.2.1", 443), 5)
