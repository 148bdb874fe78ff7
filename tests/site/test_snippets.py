"""The Python programs of the README and of the pages on publishing and consuming, run as they stand."""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.conftest import Engines
from tests.contract.messages import result
from topics.request import PromptRequest

pytestmark = pytest.mark.integration
DOCS = Path(__file__).parents[2] / "docs"


def python_of(page: str) -> str:
    found = re.search(r"```python\n(.+?)```", (DOCS / page).read_text(), re.DOTALL)
    assert found
    return found[1]


def run(page: str, engines: Engines, prefix: str) -> str:
    """The page's program, on topics of this test."""
    code = re.sub(r"\"(prompt\.\w+|my-results)\"", rf'"{prefix}\1"', python_of(page))
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": engines.kafka}
    words = [sys.executable, "-c", code]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def topics(engines: Engines, topic_prefix: str) -> str:
    admin = AdminClient({"bootstrap.servers": engines.kafka})
    new = [NewTopic(f"{topic_prefix}prompt.{name}", 1, 1) for name in ("requests", "results")]
    for future in admin.create_topics(new).values():
        future.result(20)
    return topic_prefix


def test_what_is_published_is_a_request_and_what_is_consumed_is_a_result(engines: Engines, topics: str) -> None:
    run("publishing.md", engines, topics)
    kept = run("consuming.md", engines, topics) if _answered(engines, topics) else ""
    assert kept.splitlines() == ["python-1 completed {'label': 'positive'}"]


def test_the_program_of_the_readme_prints_its_result(engines: Engines, topics: str) -> None:
    with ThreadPoolExecutor() as pool:
        said = pool.submit(run, "../README.md", engines, topics)
        assert _answered(engines, topics)
        printed = json.loads(said.result())
    assert printed["id"].startswith("order-")
    assert printed["status"] == "completed"


@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat's lines are run where it is installed")
def test_kcats_lines_publish_a_request_and_read_a_result(engines: Engines, topics: str) -> None:
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": engines.kafka}
    sent, read = (
        re.sub(r"-t (prompt\.\w+)", rf"-t {topics}\1", code.split("\nstructured-prompt")[0])
        for page in ("publishing.md", "consuming.md")
        for code in re.findall(r"```sh\n(.+?)```", (DOCS / page).read_text(), re.DOTALL)
        if "kcat -b" in code
    )
    subprocess.run(["sh", "-c", sent], env=environment, check=True, timeout=60)
    assert _answered(engines, topics)
    done = subprocess.run(["sh", "-c", read], env=environment, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout)["id"] == "kcat-1"


def _answered(engines: Engines, prefix: str) -> bool:
    """Stands for the line: reads the request, and writes a result of the same id, twice."""
    from confluent_kafka import Consumer

    settings = {"bootstrap.servers": engines.kafka, "group.id": prefix + "line", "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([prefix + "prompt.requests"])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    request = PromptRequest.model_validate(json.loads(message.value() or b""))
    producer = Producer({"bootstrap.servers": engines.kafka})
    for _ in range(2):
        producer.produce(prefix + "prompt.results", result(request.id).value)
    return producer.flush(20) == 0
