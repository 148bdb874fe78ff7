"""The process of sources on a real broker, killed while it works: each event is answered once, where its team reads."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import fastavro
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from standardwebhooks.webhooks import Webhook

from tests.conftest import Engines
from tests.line.processes import TENANT, Processes, Worker, processes, until
from tests.line.test_takeover import free_port
from tests.registry import FakeRegistry, framed, in_a_thread, register
from topics.table import DEAD_LETTERS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
EVENTS = 400
FILE = """
sources:
  tickets:
    topic: {topic}
    output: {output}
    request: {{tenant: {tenant}, template: {{name: sentiment}}, tags: {{team: support}}}}
    map: {{id: "join('-', ['ticket', to_string(number)])", template: {{variables: {{text: body.text}}}}}}
"""
OF_AVRO = """
  reviews:
    topic: {topic}
    format: avro
    registry: {{url: "{url}", auth_env: REGISTRY_AUTH}}
    request: {{tenant: {tenant}, template: {{name: sentiment}}}}
    map: {{id: "join('-', ['review', to_string(number)])", template: {{variables: {{text: text}}}}}}
"""
REVIEW = {
    "type": "record",
    "name": "Review",
    "fields": [{"name": "number", "type": "long"}, {"name": "text", "type": "string"}],
}


@pytest.fixture
def line(engines: Engines, database_url: str, redis_url: str, topic_prefix: str, tmp_path: Path) -> Iterator[Processes]:
    topics = [f"{topic_prefix}crm-{name}" for name in ("tickets", "answers", "reviews")]
    client = AdminClient({"bootstrap.servers": engines.kafka, "log_level": 3})
    for made in client.create_topics([NewTopic(topic, 3, 1) for topic in topics]).values():
        made.result(timeout=20)
    with processes(engines, database_url, redis_url, topic_prefix, tmp_path) as found:
        (tmp_path / "sources.yaml").write_text(FILE.format(topic=topics[0], output=topics[1], tenant=TENANT))
        found.environ["STRUCTURED_PROMPT_SOURCES"] = str(tmp_path / "sources.yaml")
        found.start("intake,infer,wake", free_port())
        yield found
    client.delete_topics(topics)


def start(line: Processes) -> Worker:
    log, port = line.directory / f"sources-{len(line.workers)}.log", free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "sources"],
            env=line.environ | {"STRUCTURED_PROMPT_METRICS_PORT": str(port)}, stdout=output, stderr=output,
        )  # fmt: skip
    worker = Worker(process, port, log)
    line.workers.append(worker)
    return worker


def counted(worker: Worker, name: str) -> float:
    """Nothing while it does not listen yet, or is too busy to answer."""
    with suppress(OSError):
        return worker.metric(name)
    return 0.0


def publish(line: Processes, numbers: range) -> None:
    producer = Producer({"bootstrap.servers": line.settings.kafka, "acks": "all", "log_level": 3})
    topic = f"{line.settings.topic_prefix}crm-tickets"
    for number in numbers:
        text = "I love it" if number % 2 else "It broke and I hate it"
        event = json.dumps({"number": number, "body": {"text": text}})
        producer.produce(topic, event, f"customer-{number % 7}", headers=[("x-origin", b"crm")])
        if number % 100 == 0:
            producer.produce(topic, b"not json")
    assert producer.flush(30) == 0


def read(
    line: Processes, topic: str, partitions: int, wanted: int, seconds: float
) -> list[tuple[bytes, bytes, dict[str, bytes]]]:
    """(key, value, headers) of what is on a topic, until so many different values are there."""
    consumer = Consumer({"bootstrap.servers": line.settings.kafka, "group.id": "outside", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found = []
    deadline = time.monotonic() + seconds
    while len({value for _, value, _ in found}) < wanted and time.monotonic() < deadline:
        messages = [message for message in consumer.consume(1_000, 0.2) if message.error() is None]
        found += [(message.key(), message.value(), dict(message.headers() or ())) for message in messages]
    consumer.close()
    return found


def test_L2_events_of_a_source_are_answered_once_whatever_is_killed(line: Processes) -> None:
    first = start(line)
    until(first.is_ready, 90, first.log.read_text)
    publish(line, range(EVENTS // 2))
    until(lambda: counted(first, "sink_rows_total") > 0, 90, first.log.read_text)
    first.send(signal.SIGKILL)
    publish(line, range(EVENTS // 2, EVENTS))
    second = start(line)
    prefix = line.settings.topic_prefix
    answers = read(line, f"{prefix}crm-answers", 3, EVENTS, 180)
    results = [json.loads(value) for _, value, _ in answers]
    assert {one["id"] for one in results} == {f"ticket-{number}" for number in range(EVENTS)}, second.log.read_text()
    assert len({value for _, value, _ in answers}) == EVENTS
    assert {one["status"] for one in results} == {"completed"}
    assert {one["output"]["label"] for one in results if int(one["id"][7:]) % 2} == {"positive"}
    assert {headers["x-origin"] for _, _, headers in answers} == {b"crm"}
    assert {key for key, _, _ in answers} == {f"customer-{number}".encode() for number in range(7)}
    # a question that was asked before is answered from the cache: two texts, two calls at least
    assert sum(line.calls().values()) <= EVENTS
    letters = [json.loads(value) for _, value, _ in read(line, prefix + DEAD_LETTERS, 4, EVENTS // 100, 90)]
    offsets = Counter((one["topic"], one["partition"], one["offset"]) for one in letters)
    assert len(offsets) == EVENTS // 100
    assert all("the record is not JSON" in one["reason"] for one in letters)


def test_avro_events_are_answered_and_what_no_schema_fits_is_a_dead_letter(line: Processes) -> None:
    topic = f"{line.settings.topic_prefix}crm-reviews"
    fake = FakeRegistry(auth="user:secret")
    with in_a_thread(fake) as url:
        number = register(url, "review-value", json.dumps(REVIEW), "AVRO", auth="user:secret")
        with (line.directory / "sources.yaml").open("a") as file:
            file.write(OF_AVRO.format(topic=topic, url=url, tenant=TENANT))
        line.environ["REGISTRY_AUTH"] = "user:secret"
        fake.down = True
        worker = start(line)
        producer = Producer({"bootstrap.servers": line.settings.kafka, "acks": "all", "log_level": 3})
        schema = fastavro.parse_schema(REVIEW)
        for one in range(20):
            stream = io.BytesIO()
            fastavro.schemaless_writer(stream, schema, {"number": one, "text": "I love it"})
            producer.produce(topic, framed(number, stream.getvalue()))
        producer.produce(topic, framed(77, b"x"))
        assert producer.flush(30) == 0
        until(lambda: counted(worker, "sink_errors_total") > 0, 90, worker.log.read_text)
        fake.down = False
        ids = [f"review-{one}" for one in range(20)]
        found = line.results(ids, 90)
    assert set(found) == set(ids), worker.log.read_text()[-4_000:]
    assert {json.loads(values[0])["output"]["label"] for values in found.values()} == {"positive"}
    ((_, letter, _),) = read(line, line.settings.topic_prefix + DEAD_LETTERS, 4, 1, 90)
    assert "knows nothing at /schemas/ids/77" in json.loads(letter)["reason"]


def test_a_signed_event_is_answered(line: Processes) -> None:
    secret, port = "whsec_" + b64encode(b"s" * 24).decode(), free_port()
    with (line.directory / "sources.yaml").open("a") as file:
        file.write(
            f"  forms: {{webhook: {{secret_env: FORMS}}, request: {{tenant: {TENANT}, template: {{name: sentiment}}}},"
            "\n    map: {id: number, template: {variables: {text: text}}}}\n"
        )
    own = {"FORMS": secret, "STRUCTURED_PROMPT_API_PORT": str(port), "STRUCTURED_PROMPT_METRICS_PORT": str(free_port())}
    log = line.directory / "api.log"
    with log.open("wb") as output:
        api = subprocess.Popen([sys.executable, "-m", "cli.main", "api"], env=line.environ | own, stderr=output)
    line.workers.append(Worker(api, port, log))
    body, url = '{"number": 4711, "text": "I love it"}', f"http://127.0.0.1:{port}/v1/sources/forms/events"
    now = datetime.now(UTC)
    head = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp()))}
    head["webhook-signature"] = Webhook(secret).sign("msg_1", now, body)
    until(lambda: pushed(url, body, head) == 202, 90, log.read_text)
    assert pushed(url, body, head) == 202
    assert pushed(url, body + " ", head) == 401
    (result,) = line.results(["4711"], 90)["4711"]
    assert json.loads(result)["output"]["label"] == "positive"
    assert sum(line.calls().values()) == 1


def pushed(url: str, body: str, head: dict[str, str]) -> int:
    """The status, 0 while nobody answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body.encode(), head), timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_a_source_whose_topics_do_not_exist_says_so_and_uses_them_once_they_do(line: Processes) -> None:
    topic, output = (f"{line.settings.topic_prefix}crm-{name}" for name in ("later", "replies"))
    with (line.directory / "sources.yaml").open("a") as file:
        file.write(f"  later: {{topic: {topic}, output: {output}, request: {{tenant: {TENANT}, template:\n")
        file.write("    {name: sentiment}}, map: {id: number, template: {variables: {text: text}}}}\n")
    worker = start(line)
    missing = f"{topic} does not exist; create it"
    until(lambda: says(line, "source-later", "waiting", missing), 90, worker.log.read_text)
    assert says(line, "source-tickets", "running", "")
    client = AdminClient({"bootstrap.servers": line.settings.kafka, "log_level": 3})
    client.create_topics([NewTopic(topic, 1, 1)])[topic].result(timeout=20)
    try:
        missing = f"the topic {output} does not exist; create it, or give the source another"
        until(lambda: says(line, "source-later", "waiting", missing), 90, worker.log.read_text)
        producer = Producer({"bootstrap.servers": line.settings.kafka, "acks": "all", "log_level": 3})
        producer.produce(topic, b'{"number": 4712, "text": "I love it"}')
        assert producer.flush(30) == 0
        assert "4712" in line.results(["4712"], 90), worker.log.read_text()[-4_000:]
        client.create_topics([NewTopic(output, 1, 1)])[output].result(timeout=20)
        until(lambda: says(line, "source-later", "running", ""), 90, worker.log.read_text)
        assert len(read(line, output, 1, 1, 90)) >= 1, worker.log.read_text()[-4_000:]
    finally:
        for deleted in client.delete_topics([topic, output]).values():
            deleted.result(timeout=20)


def says(line: Processes, name: str, state: str, what: str) -> bool:
    """On the command line; nothing where nothing is to be said."""
    words = [sys.executable, "-m", "cli.main", "sinks", "list", "--use-env", "--json"]
    done = subprocess.run(words, env=line.environ, capture_output=True, text=True, timeout=60, check=True)
    found = {row["name"]: (row["state"], row["detail"] or "") for row in json.loads(done.stdout)}
    told, detail = found.get(name, ("", ""))
    return told == state and (what in detail if what else not detail)


def test_it_stops_in_order_and_says_what_is_wrong(line: Processes) -> None:
    worker = start(line)
    until(worker.is_ready, 90, worker.log.read_text)
    worker.send(signal.SIGTERM)
    assert worker.process.wait(timeout=60) == 0
    wrong = line.environ | {"STRUCTURED_PROMPT_SOURCES": os.devnull}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "sources"],
        env=wrong,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "the file holds `sources:`" in done.stderr
    assert "Traceback" not in done.stderr
