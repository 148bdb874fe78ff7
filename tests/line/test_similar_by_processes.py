"""The same question in other words on the real engines: a worker process, the simulated provider, pgvector."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from domain.caching.generations import Scope
from domain.forgetting.invalidation import records
from tests.conftest import Engines
from tests.line.processes import TENANT, Processes, processes, until
from tests.line.test_takeover import free_port
from topics.result import PromptResult

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

WORDINGS = ("How do I reset my password?", "How can I reset my password, please?", "Hello! How to reset my password?")


@pytest.fixture
def line(engines: Engines, database_url: str, redis_url: str, topic_prefix: str, tmp_path: Path) -> Iterator[Processes]:
    with processes(engines, database_url, redis_url, topic_prefix, tmp_path) as found:
        # nothing is checked against a call, so that every hit is one
        library = tmp_path / "templates" / "intent"
        library.mkdir(parents=True)
        shipped = Path(__file__).parents[2] / "domain" / "prompting" / "library" / "intent" / "1.yaml"
        own = shipped.read_text().replace("semantic: {", "semantic: {checked: 0, ")
        (library / "1.yaml").write_text(own)
        found.environ["STRUCTURED_PROMPT_TEMPLATES"] = str(tmp_path / "templates")
        found.start("intake,infer,wake", free_port())
        yield found


def ask(line: Processes, *texts: str) -> list[PromptResult]:
    ids = [uuid.uuid4().hex[:12] for _ in texts]
    template = [{"name": "intent", "variables": {"message": text}} for text in texts]
    line.publish([{"id": id, "template": one, "cache": "semantic"} for id, one in zip(ids, template, strict=True)])
    found = line.results(ids, 60)
    return [PromptResult.model_validate_json(found[id][0]) for id in ids]


def kept(line: Processes) -> int:
    return len(line._ask(lambda pool: pool.fetch("SELECT 1 FROM similar_answers")))


def forget(line: Processes, *scope: Any) -> None:
    (said,) = records(TENANT, [Scope(*scope)], uuid.uuid4().hex, datetime.now(UTC))
    producer = Producer({"bootstrap.servers": line.settings.kafka, "acks": "all", "log_level": 3})
    producer.produce(line.settings.topic_prefix + said.topic, said.value, said.key)
    assert producer.flush(10) == 0


def test_other_words_are_answered_once_and_forgotten_with_the_answer(line: Processes) -> None:
    (worker,) = line.workers
    until(lambda: line.serving("infer") == 1 and line.serving("intake") == 1, 90, worker.log.read_text)
    line.provide(latency_ms={"mean": 0, "jitter": 0})
    (first,) = ask(line, WORDINGS[0])
    until(lambda: kept(line) == 1, 30, worker.log.read_text)
    (second,) = ask(line, WORDINGS[1])
    assert (first.cached, second.cached) == (None, "semantic")
    assert second.output == first.output
    assert (second.usage.attempts, second.usage.cost_usd, second.cache is not None) == (0, 0, True)
    (other,) = ask(line, "How do I reset my account?")
    assert other.cached is None
    assert sum(line.calls().values()) == 2

    forget(line, "template", "intent")
    until(lambda: worker.metric("changes_heard") >= 2, 30, worker.log.read_text)  # intake, and who looks up
    (again,) = ask(line, WORDINGS[2])
    assert again.cached is None
    assert sum(line.calls().values()) == 3
    assert worker.metric('similar_lookups_total{outcome="hit"}') == 1
    assert "semantic_cache_off" not in worker.log.read_text()
    logged = [json.loads(row) for row in worker.log.read_text().splitlines() if row.startswith("{")]
    assert [row for row in logged if row["event"] == "fault"] == []
