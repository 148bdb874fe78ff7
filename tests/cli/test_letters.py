"""Dead letters from the command line, on a real worker and a provider that fails on purpose."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from domain.errors import Conflict

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150), pytest.mark.usefixtures("stack")]
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}


def control(engines: Any, **body: Any) -> None:
    url = engines.provider_url.removesuffix("/v1") + "/control"
    data, method = (json.dumps(body).encode(), "POST") if body else (None, "DELETE")
    urllib.request.urlopen(urllib.request.Request(url, data, {"content-type": "application/json"}, method=method))


@pytest.fixture
def line(engines: Any, cli: Any, tmp_path: Any) -> Iterator[None]:
    """One process with every stage; the small model answers nonsense and is not asked again."""
    assert cli("tenants", "create", "demo", "--if-missing").exit_code == 0
    control(engines, malformed={"share": 1.0, "kinds": ["wrong_type"], "until_reasked": False}, model="small")
    settings = {
        "STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL": engines.provider_url,
        "STRUCTURED_PROMPT_RE_ASKS": "0",
        "STRUCTURED_PROMPT_METRICS_PORT": "0",
    }
    log = (tmp_path / "worker.log").open("wb")
    command = [sys.executable, "-m", "cli.main", "worker"]
    worker = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
    yield
    worker.terminate()
    worker.wait(40)
    control(engines)
    log.close()


def letters(cli: Any, *options: str) -> list[dict[str, Any]]:
    result = cli("dead-letters", "list", "--json", *options)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def redrive(cli: Any, *options: str) -> dict[str, Any]:
    result = cli("dead-letters", "redrive", "--json", *options)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def until(happened: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def results(cli: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli("results").stdout.splitlines()]


def test_L3_letters_are_redriven_once_with_another_model_and_records_once_their_cause_is_mended(
    cli: Any, line: None, engines: Any, topic_prefix: str
) -> None:
    ids = [f"order-{n}" for n in range(5)]
    bodies = [{"id": id, "prompt": "Is it good?", "output_schema": SCHEMA, "tenant": "demo"} for id in ids]
    producer = Producer({"bootstrap.servers": engines.kafka})
    for value in (*bodies, {**bodies[0], "id": "early", "tenant": "later", "model": "smart"}, "not JSON"):
        text = value if isinstance(value, str) else json.dumps(value)
        producer.produce(f"{topic_prefix}prompt.requests", text, key="mine", headers={"x-mine": b"1"})
    producer.flush(20)
    until(lambda: len(letters(cli)) == 7, "the letters do not arrive")
    assert {one["id"] for one in letters(cli, "--tenant", "demo", "--reason", "invalid_output")} == set(ids)
    assert [one["code"] for one in letters(cli, "--request", "early")] == ["unknown_tenant"]

    counted = redrive(cli, "--reason", "invalid_output", "--dry-run", "--model", "smart")
    assert (counted["matched"], counted["redriven"], counted["estimate"]["requests"]) == (5, 5, 5)
    assert float(counted["estimate"]["usd_at_most"]) > 0
    assert redrive(cli, "--reason", "invalid_output", "--model", "smart", "--rate", "5")["redriven"] == 5
    names = [one["letter"] for one in letters(cli, "--reason", "invalid_output")]
    again = redrive(cli, *names, "--model", "smart")
    assert (again["matched"], again["redriven"], again["skipped"]) == (5, 0, 5)

    assert cli("tenants", "create", "later", "--if-missing").exit_code == 0
    assert redrive(cli, "--reason", "unknown_tenant")["redriven"] == 1
    assert redrive(cli, "--reason", "unknown_tenant")["matched"] == 0
    until(lambda: sum(one["status"] == "completed" for one in results(cli)) >= 6, "the redriven do not complete")
    ended = sorted((one["id"], one["run"], one["status"]) for one in results(cli))
    assert ended == sorted(
        [("early", 1, "completed"), *((id, 1, "failed") for id in ids), *((id, 2, "completed") for id in ids)]
    )
    shown = json.loads(cli("dead-letters", "show", "order-0").stdout)
    assert (shown["redriven"]["run"], shown["message"]["code"]) == (2, "invalid_output")
    assert [one["code"] for one in letters(cli, "--open")] == ["unreadable"]
    assert "redriven:" in cli("explain", "order-0").stdout


def test_what_is_not_said_or_not_there_is_an_error(cli: Any) -> None:
    assert cli("dead-letters", "redrive").exit_code == 2
    assert isinstance(cli("dead-letters", "redrive", "0" * 32).exception, Conflict)
    assert isinstance(cli("dead-letters", "show", "nonesuch").exception, Conflict)
    assert cli("dead-letters", "redrive", "--all", "--template", "sentiment@two").exit_code == 2
