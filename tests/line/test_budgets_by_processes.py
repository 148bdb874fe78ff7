"""A budget over three worker processes and the API on the real engines, with Redis wiped and a worker killed (L12)."""

import asyncio
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis

from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.pool import connect
from domain.accounts import keys
from domain.pricing.cost import cost
from domain.pricing.worst import worst_case
from domain.routing.catalogue import Catalogue
from domain.routing.model import Tokens
from tests.conftest import Engines
from tests.line.processes import PARTITIONS, Processes, processes, until
from tests.line.test_takeover import free_port
from topics.result import PromptResult
from topics.table import EVENTS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]
ISSUED = keys.issue("acme", "test", b"pepper" * 8, datetime.now(UTC))
PROMPT = "Where is my parcel, which was due on Monday?"
SMALL = Catalogue.simulated("http://127.0.0.1:1/v1").resolve("fast")[0]
TOKENS = 40
WORST = worst_case(SMALL, [{"role": "user", "content": PROMPT}], (), TOKENS, datetime.now(UTC))
LIMIT = (WORST * Decimal("12.5")).quantize(Decimal("0.000000001"))


@pytest.fixture
def line(engines: Engines, database_url: str, redis_url: str, topic_prefix: str, tmp_path: Path) -> Iterator[Processes]:
    with processes(engines, database_url, redis_url, topic_prefix, tmp_path) as found:
        asyncio.run(_create_key(database_url))
        found.start("intake,wake", free_port())
        yield found


@pytest.fixture
def url(line: Processes, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    own = {"STRUCTURED_PROMPT_API_PORT": str(port), "STRUCTURED_PROMPT_METRICS_PORT": str(free_port())}
    with (tmp_path / "api.log").open("wb") as log:
        api = subprocess.Popen([sys.executable, "-m", "cli.main", "api"], env=line.environ | own, stderr=log)
    try:
        until(lambda: _answers(port), 90, (tmp_path / "api.log").read_text)
        yield f"http://127.0.0.1:{port}"
    finally:
        api.kill()
        api.wait()


def test_L12_a_budget_holds_whatever_is_wiped_or_killed_and_what_is_over_it_is_a_402(
    line: Processes, url: str, redis_url: str
) -> None:
    workers = [line.start("infer", free_port()) for _ in range(3)]
    until(lambda: line.serving("infer") == 3, 60, workers[0].log.read_text)
    line.provide(latency_ms={"mean": 500, "jitter": 300})
    made = _http(f"{url}/v1/budgets", {"name": "all", "limit_usd": str(LIMIT), "period": "month"})
    assert (made[0], made[1]["remaining_usd"]) == (201, str(LIMIT.normalize()))

    ids = [f"{line.settings.topic_prefix}m{number}" for number in range(150)]
    asked = {"prompt": PROMPT, "parameters": {"max_tokens": TOKENS}, "cache": "bypass", "on_limit": "reject"}
    line.publish([{"id": ids[0], **asked}])
    assert line.results(ids[:1], 60), "one that is answered: all that follow may be under way in the worker that dies"
    line.publish([{"id": id, **asked} for id in ids[1:75]])
    until(lambda: sum(line.calls().values()) > 1, 30)
    workers[0].send(signal.SIGKILL)
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    line.publish([{"id": id, **asked} for id in ids[75:]])
    found = line.results(ids, 60)
    ends = Counter((row["status"], (row["error"] or {}).get("code")) for row in _rows(found, ids))
    assert ends["rejected", "budget_exceeded"] > 75
    assert _billed(line) <= LIMIT

    until(lambda: _http(f"{url}/v1/budgets/all")[1]["spent_usd"] != "0", 30)
    _assert_refused(*_http(f"{url}/v1/analyze", {"id": "over", **asked, "parameters": {"max_tokens": 16_000}}))
    _, standing = _http(f"{url}/v1/budgets/all")
    assert Decimal(standing["spent_usd"]) + Decimal(standing["reserved_usd"]) <= LIMIT
    assert _billed(line) <= Decimal(standing["spent_usd"]) + Decimal(standing["reserved_usd"])
    until(lambda: _marks(line)[100] > 0, 30)
    assert set(_marks(line).values()) == {1}
    assert _http(f"{url}/v1/budgets/all", method="DELETE")[0] == 204
    assert _http(f"{url}/v1/analyze", {"id": "free", **asked})[0] == 200


def _assert_refused(status: int, problem: dict[str, Any]) -> None:
    """The whole body of the contract."""
    assert status == 402
    assert problem.keys() == {"type", "title", "status", "detail", "code", "request_id", "errors", "result"}
    assert (problem["status"], problem["code"], problem["title"]) == (402, "budget_exceeded", "Budget exceeded")
    assert problem["type"] == "urn:problem-type:structured-prompt:budget-exceeded"
    result = PromptResult.model_validate(problem["result"])
    assert (result.status, result.usage.attempts, result.usage.cost_usd) == ("rejected", 0, 0)
    assert result.error is not None
    assert (result.error.code, result.error.message) == ("budget_exceeded", problem["detail"])


def _rows(found: dict[str, list[bytes]], ids: list[str]) -> list[dict[str, Any]]:
    """One result a request, however often it was produced."""
    assert all(len(set(values)) == 1 for values in found.values())
    return [json.loads(found[id][0]) for id in ids]


def _billed(line: Processes) -> Decimal:
    """What the provider counted, at its price."""
    with urllib.request.urlopen(f"{line.provider}/control", timeout=5) as answer:
        counted = json.loads(answer.read())
    return cost(SMALL.price, Tokens(counted["input_tokens"], counted["output_tokens"]))


def _marks(line: Processes) -> Counter[int]:
    """How often each mark of the budget was told."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": line.settings.kafka, "group.id": "outside", "log_level": 3})
    topic = line.settings.topic_prefix + EVENTS
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    found = [json.loads(m.value()) for _ in range(4) for m in consumer.consume(1_000, 0.5) if m.error() is None]
    consumer.close()
    return Counter(row["data"]["percent"] for row in found if row["type"].startswith("budget."))


def _http(url: str, body: dict[str, Any] | None = None, method: str | None = None) -> tuple[int, dict[str, Any]]:
    data = None if body is None else json.dumps(body).encode()
    head = {"authorization": f"Bearer {ISSUED.secret}", "content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, head, method=method), timeout=40) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


async def _create_key(database_url: str) -> None:
    pool = await connect(database_url, 1)
    try:
        await PostgresAccounts(pool).create_key(ISSUED.key)
    finally:
        await pool.close()


def _answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return answer.status == 200
    return False
