"""Sources made, changed and removed over HTTP while the process of sources runs, on real engines."""

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.pool import connect
from domain.accounts import keys
from tests.conftest import Engines
from tests.line.processes import TENANT, Processes, Worker, processes, until
from tests.line.test_takeover import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
ISSUED = keys.issue(TENANT, "test", b"pepper" * 8, datetime.now(UTC))
PARTITIONS = 3


async def create_key(url: str) -> None:
    pool = await connect(url, 1)
    await PostgresAccounts(pool).create_key(ISSUED.key)
    await pool.close()


@pytest.fixture
def line(engines: Engines, database_url: str, redis_url: str, topic_prefix: str, tmp_path: Path) -> Iterator[Processes]:
    topics = [f"{topic_prefix}crm-{name}" for name in ("tickets", "orders", "answers")]
    client = AdminClient({"bootstrap.servers": engines.kafka, "log_level": 3})
    for made in client.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics]).values():
        made.result(timeout=20)
    with processes(engines, database_url, redis_url, topic_prefix, tmp_path) as found:
        asyncio.run(create_key(database_url))
        found.environ["STRUCTURED_PROMPT_OPERATORS"] = TENANT
        found.start("intake,infer,wake", free_port())
        yield found
    client.delete_topics(topics)


def begin(line: Processes, command: str, port: int = 0) -> Worker:
    log, metrics = line.directory / f"{command}.log", free_port()
    own = {"STRUCTURED_PROMPT_METRICS_PORT": str(metrics)} | ({"STRUCTURED_PROMPT_API_PORT": str(port)} if port else {})
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", command], env=line.environ | own, stdout=output, stderr=output
        )
    worker = Worker(process, metrics, log)
    line.workers.append(worker)
    until(worker.is_ready, 60, log.read_text)
    return worker


def ask(url: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        url, None if body is None else json.dumps(body).encode(), {"authorization": f"Bearer {ISSUED.secret}"},
        method=method,
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def told(url: str, method: str, *statuses: int, body: Any = None) -> None:
    """Until the answer is one of these: a 503 is asked again, after which it may have been done before."""
    answers: list[tuple[int, Any]] = []

    def asked() -> bool:
        answers.append(ask(url, method, body))
        assert answers[-1][0] in (*statuses, 503), answers
        return answers[-1][0] in statuses

    until(asked, 60, lambda: str(answers[-1:]))


def source(line: Processes, topic: str, prefix: str) -> dict[str, Any]:
    return {
        "topic": f"{line.settings.topic_prefix}{topic}",
        "output": f"{line.settings.topic_prefix}crm-answers",
        "request": {"tenant": TENANT, "template": {"name": "sentiment"}},
        "map": {
            "id": f"join('-', ['{prefix}', to_string(number)])",
            "template": {"variables": {"text": "text"}},
        },
    }


def publish(line: Processes, topic: str, number: int) -> None:
    producer = Producer({"bootstrap.servers": line.settings.kafka, "acks": "all", "log_level": 3})
    event = json.dumps({"number": number, "text": "I love it"})
    producer.produce(f"{line.settings.topic_prefix}{topic}", event, f"customer-{number}")
    assert producer.flush(30) == 0


def answered(line: Processes, wanted: set[str]) -> bool:
    """Whether the team's topic has the results of these, and of no others. A busy broker is asked again."""
    consumer = Consumer({"bootstrap.servers": line.settings.kafka, "group.id": "outside", "enable.auto.commit": False})
    topic, found = f"{line.settings.topic_prefix}crm-answers", set[str]()
    try:
        places = [TopicPartition(topic, number, 0) for number in range(PARTITIONS)]
        consumer.assign(places)
        ends = sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
        read = [message for message in consumer.consume(ends, 10.0) if message.error() is None] if ends else []
        found = {json.loads(message.value())["id"] for message in read} if len(read) == ends else set()
    except KafkaException:
        return False
    finally:
        consumer.close()
    return found == wanted


def is_left(line: Processes, name: str) -> bool:
    """Whether nobody reads for the source. A busy broker is asked again."""
    group = f"{line.settings.topic_prefix}structured-prompt.source-{name}"
    client = AdminClient({"bootstrap.servers": line.settings.kafka, "log_level": 3})
    try:
        return bool(client.describe_consumer_groups([group])[group].result(10).state is ConsumerGroupState.EMPTY)
    except KafkaException:
        return False


def test_L2_sources_are_made_changed_and_removed_without_a_restart(line: Processes) -> None:
    port = free_port()
    begin(line, "api", port)
    worker = begin(line, "sources")
    log, url = worker.log.read_text, f"http://127.0.0.1:{port}/v1/sources"

    publish(line, "crm-tickets", 1)
    told(f"{url}/tickets", "PUT", 200, 201, body=source(line, "crm-tickets", "a"))
    until(lambda: answered(line, {"a-1"}), 60, log)
    until(lambda: ask(f"{url}/tickets")[1].get("status", {}).get("state") == "running", 60, log)

    told(f"{url}/tickets", "PUT", 200, body=source(line, "crm-tickets", "b"))
    # it, the results, and it again: the old one has ended by then
    until(lambda: log().count("source_starts") >= 3, 60, log)
    publish(line, "crm-tickets", 2)
    until(lambda: answered(line, {"a-1", "b-2"}), 60, log)

    told(f"{url}/tickets", "DELETE", 204, 404)
    until(lambda: is_left(line, "tickets"), 60, log)
    publish(line, "crm-tickets", 3)
    # another source is made and answered meanwhile: the process looks, and leaves the topic of the first alone
    told(f"{url}/orders", "PUT", 200, 201, body=source(line, "crm-orders", "o"))
    publish(line, "crm-orders", 1)
    until(lambda: answered(line, {"a-1", "b-2", "o-1"}), 60, log)
    until(lambda: is_left(line, "tickets"), 60, log)

    # everything was committed: made again it goes on behind what it had read
    told(f"{url}/tickets", "PUT", 200, 201, body=source(line, "crm-tickets", "c"))
    until(lambda: answered(line, {"a-1", "b-2", "o-1", "c-3"}), 60, log)
    assert worker.process.poll() is None
