"""The programs in Node, Go and Java of the page on publishing, run as they stand, where their languages are installed.

Their libraries come from lock files beside this test (Node's into `.tools/`, once; Go's into Go's own cache); Java's
client is the broker's own. Where a registry cannot be had, the test is skipped.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from ops.local.kafka_jars import default_cache, fetched_jars
from tests.conftest import Engines
from tests.npm import installed
from topics.request import PromptRequest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "publishing.md").read_text()


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed here")


def program_in(language: str, prefix: str, place: Path) -> Path:
    """The page's program, on the topic of this test."""
    found = re.search(rf"```{language}\n(.+?)```", PAGE, re.DOTALL)
    assert found
    place.write_text(found[1].replace('"prompt.requests"', f'"{prefix}prompt.requests"'))
    return place


def run(words: Sequence[str | Path], engines: Engines, directory: Path) -> None:
    environ = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": engines.kafka, "GOFLAGS": "-mod=readonly"}
    done = subprocess.run(
        words, cwd=directory, env=environ, capture_output=True, text=True, check=False, timeout=200
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def published(engines: Engines, prefix: str) -> tuple[str | None, PromptRequest]:
    """The key and the request that is on the topic."""
    consumer = Consumer({"bootstrap.servers": engines.kafka, "group.id": "outside", "enable.auto.commit": False})
    consumer.assign([TopicPartition(f"{prefix}prompt.requests", 0, 0)])
    message = consumer.poll(60)
    consumer.close()
    assert message is not None
    key = message.key()
    return key.decode() if key else None, PromptRequest.model_validate(json.loads(message.value() or b""))


@pytest.fixture
def topic(engines: Engines, topic_prefix: str) -> str:
    admin = AdminClient({"bootstrap.servers": engines.kafka})
    [made] = admin.create_topics([NewTopic(f"{topic_prefix}prompt.requests", 1, 1)]).values()
    made.result(30)
    return topic_prefix


def test_the_program_in_java_publishes_a_request(engines: Engines, topic: str, tmp_path: Path) -> None:
    needs("java", "javac")
    program = program_in("java", topic, tmp_path / "Publish.java")
    run(["java", "-cp", fetched_jars(default_cache()) / "*", program], engines, tmp_path)
    key, request = published(engines, topic)
    assert (key, request.id, request.prompt) == ("java-1", "java-1", "Where is my parcel?")


def test_the_program_in_go_publishes_a_request(engines: Engines, topic: str, tmp_path: Path) -> None:
    needs("go")
    for name in ("go.mod", "go.sum"):
        shutil.copy(HERE / "go" / name, tmp_path)
    fetched = subprocess.run(["go", "mod", "download"], cwd=tmp_path, capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"Go's modules cannot be had here: {fetched.stderr.strip()[-300:]}")
    program_in("go", topic, tmp_path / "main.go")
    run(["go", "run", "."], engines, tmp_path)
    key, request = published(engines, topic)
    assert (key, request.id, request.prompt) == ("go-1", "go-1", "Where is my parcel?")


def test_the_program_in_node_publishes_a_request(engines: Engines, topic: str, tmp_path: Path) -> None:
    program = program_in("js", topic, installed(HERE / "node", "kafkajs") / f"{topic}publish.js")
    try:
        run(["node", program], engines, tmp_path)
    finally:
        program.unlink()
    key, request = published(engines, topic)
    assert (key, request.id, request.tags) == ("node-1", "node-1", {"team": "support"})
