"""The list of rights in docs/security.md, on a broker that refuses everything else: TLS, SCRAM-SHA-512 and OAUTHBEARER.

One request of a tenant with a topic of its own goes through intake and infer, each with its principal and its rights
alone. Intake signs in with a password and infer with a token, so that both of their Kafka clients do both.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from connectors.kafka import admin, security
from domain.errors import Unavailable
from domain.settings import Settings, load
from ops.local.ports import Ports
from tests.conftest import Engines
from tests.kafka.oauth import CLIENT, SCOPE, SECRET, token_endpoint
from tests.kafka.secured import PASSWORD, SecuredKafka, rights_of, secured
from tests.line.processes import TENANT, Processes, processes, until
from topics.table import CONTROL, DEAD_LETTERS, REQUESTS, RESULTS, requests_of, with_tenants

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
PREFIX = "line."
"""Of the topics that the request goes through; the others are those that the refusals are tried on."""
PUBLISHER = {"Read": "–", "group (Read)": "–", "Write": f"`{requests_of(TENANT)}`"}
READER = {"Read": f"`{RESULTS}`, `{DEAD_LETTERS}`", "group (Read)": "`reader`", "Write": "–"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    rights = rights_of(page)
    users = {
        "intake": rights["worker intake"],
        CLIENT: rights["worker infer"],
        "publisher": PUBLISHER,
        "reader": READER,
    }
    with secured(tmp_path_factory.mktemp("secured")) as broker:
        for user, granted in users.items():
            broker.enlist(user)
            broker.allow(user, granted, "")
            broker.allow(user, granted, PREFIX)
        broker.create(*(topic.name for topic in with_tenants([TENANT])))
        yield broker


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


@pytest.fixture
def line(
    broker: SecuredKafka, engines: Engines, database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[Processes]:
    until(lambda: applied(broker), 120)
    with processes(replace(engines, kafka=broker.url), database_url, redis_url, PREFIX, tmp_path) as line:
        line.environ["STRUCTURED_PROMPT_TENANT_TOPICS"] = TENANT
        yield line


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


def read(named: dict[str, str], topic: str, partitions: int) -> dict[str, object]:
    """The first record."""
    consumer = Consumer({**client(named), "group.id": "reader", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        message = consumer.poll(90)
        assert message is not None
        assert message.error() is None
        return dict(json.loads(message.value()))
    finally:
        consumer.close()


def test_the_rights_of_the_list_are_enough_and_nothing_else_is_allowed(line: Processes, broker: SecuredKafka) -> None:
    publisher, reader = as_user(broker, "publisher"), as_user(broker, "reader")
    topic = PREFIX + requests_of(TENANT)
    ports = Ports(line.directory / "ports.json")
    with token_endpoint() as (url, _):
        environ = dict(line.environ)
        line.environ = environ | as_user(broker, "intake")
        line.start("intake", ports.of("intake"))
        tokens = {"KAFKA_SASL_MECHANISM": "OAUTHBEARER", "KAFKA_SASL_TOKEN_URL": url, "KAFKA_SASL_SCOPE": SCOPE}
        line.environ = environ | as_user(broker, CLIENT, SECRET) | tokens
        line.start("infer", ports.of("infer"))
        line.environ = environ

        asked = {"id": "one", "tenant": TENANT, "prompt": "Is it good?"}
        assert produced(publisher, topic, asked) is None
        result = read(reader, PREFIX + RESULTS, 12)
        assert (result["id"], result["status"]) == ("one", "completed")

        forged = {**asked, "id": "two", "tenant": "globex"}
        assert produced(publisher, topic, forged) is None
        letter = read(reader, PREFIX + DEAD_LETTERS, 4)
        assert (letter["topic"], letter["tenant"]) == (topic, TENANT)


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("publisher", REQUESTS), ("publisher", requests_of("globex")), ("publisher", "prompt.calls.standard"),
        ("publisher", RESULTS), ("publisher", CONTROL), ("intake", REQUESTS), ("intake", "prompt.usage"),
        (CLIENT, "prompt.calls.standard"), (CLIENT, REQUESTS), ("reader", RESULTS),
    ],
)  # fmt: skip
def test_nobody_writes_where_the_list_does_not_say(broker: SecuredKafka, user: str, topic: str) -> None:
    error = produced(as_user(broker, user), topic, {"id": "three", "tenant": TENANT, "prompt": "?"})
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("reader", REQUESTS), ("reader", requests_of(TENANT)), ("reader", "prompt.calls.standard"),
        ("publisher", requests_of(TENANT)), ("intake", RESULTS), (CLIENT, DEAD_LETTERS),
    ],
)  # fmt: skip
def test_nobody_reads_what_the_list_does_not_say(broker: SecuredKafka, user: str, topic: str) -> None:
    """Nor does who may write there."""
    consumer = Consumer({**client(as_user(broker, user)), "group.id": "reader", "enable.auto.commit": False})
    try:
        assert unreadable(consumer, topic)
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


def test_a_wrong_password_and_another_authority_let_nobody_in(broker: SecuredKafka, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    is_refused(as_user(broker, "intake", "wrong"), KafkaError._AUTHENTICATION)
    is_refused(as_user(broker, "intake") | {"KAFKA_SSL_CAFILE": str(other)}, KafkaError._SSL)


def is_refused(named: dict[str, str], code: int) -> None:
    """Fails unless the client is told this reason."""
    heard: set[int] = set()
    producer = Producer({**client(named), "error_cb": lambda error: heard.add(error.code())})

    def told() -> bool:
        producer.poll(0.1)
        return code in heard

    until(told, 60, lambda: str(heard))
