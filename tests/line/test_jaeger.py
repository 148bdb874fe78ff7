"""A trace of real processes, read back from a real Jaeger, where there is one: `make tools TOOLS=jaeger` builds it."""

import json
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import apply
from connectors.telemetry.tracing import tracing
from tests.conftest import Engines
from tests.line.processes import TENANT, Processes, processes, until
from tests.line.test_takeover import free_port
from tests.line.test_tracing import carried, traced_line

BUILT = Path(__file__).parents[2] / ".tools" / "jaeger"
PROGRAM = shutil.which("jaeger") or (str(BUILT) if BUILT.exists() else None)
pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(400),
    pytest.mark.skipif(PROGRAM is None, reason="Jaeger is not installed here: `make tools TOOLS=jaeger` builds it"),
]
TRACE = "0af7651916cd43dd8448eb211c80319c"
CONFIG = """
service: {{extensions: [jaeger_storage, jaeger_query, healthcheckv2],
  pipelines: {{traces: {{receivers: [otlp], processors: [batch], exporters: [jaeger_storage_exporter]}}}},
  telemetry: {{metrics: {{level: none}}, logs: {{level: warn}}}}}}
extensions:
  healthcheckv2: {{use_v2: true, http: {{endpoint: "127.0.0.1:{health}"}}}}
  jaeger_query:
    storage: {{traces: here}}
    http: {{endpoint: "127.0.0.1:{ui}"}}
    grpc: {{endpoint: "127.0.0.1:{grpc}"}}
  jaeger_storage: {{backends: {{here: {{memory: {{max_traces: 1000}}}}}}}}
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{otlp}"}}}}}}}}
processors: {{batch: {{}}}}
exporters: {{jaeger_storage_exporter: {{trace_storage: here}}}}
"""


def asked(url: str) -> Any:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read() or b"null")
    return None


@contextmanager
def program(words: list[str], directory: Path, environ: dict[str, str] | None = None) -> Iterator[Callable[[], str]]:
    """A process that is ended at the end; gives what it said."""
    log = directory / f"{Path(words[0]).name}-{words[-1].strip('/').replace('/', '-')}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(words, env=environ, stdout=output, stderr=output)
    try:
        yield log.read_text
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """(where spans go, where they are read back)."""
    ports = {name: free_port() for name in ("health", "ui", "grpc", "otlp")}
    config = tmp_path / "jaeger.yml"
    config.write_text(CONFIG.format(**ports))
    with program([PROGRAM or "", "--config", str(config)], tmp_path) as said:
        ui = f"http://127.0.0.1:{ports['ui']}"
        until(lambda: asked(f"{ui}/api/services") is not None, 60, said)
        yield f"http://127.0.0.1:{ports['otlp']}", ui


@pytest.fixture
def line(
    request: pytest.FixtureRequest, engines: Engines, clickhouse_url: str, tmp_path: Path, jaeger: tuple[str, str]
) -> Iterator[Processes]:
    own = [request.getfixturevalue(name) for name in ("database_url", "redis_url", "topic_prefix")]
    with processes(engines, *own, tmp_path) as found, ExitStack() as stack:
        found.environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": jaeger[0], "OTEL_BSP_SCHEDULE_DELAY": "200"}
        found.environ |= {"CLICKHOUSE_URL": clickhouse_url, "STRUCTURED_PROMPT_METRICS_PORT": "0"}
        sink = [sys.executable, "-m", "cli.main", "sink", "clickhouse"]
        stack.enter_context(program(sink, tmp_path, found.environ))
        found.start("intake", free_port())
        found.start("infer", free_port())
        yield found


async def test_one_trace_goes_through_every_process_and_is_read_back_from_jaeger(
    line: Processes, jaeger: tuple[str, str], clickhouse_url: str, tmp_path: Path
) -> None:
    async with ClickHouse(clickhouse_url) as clickhouse:
        await apply(clickhouse)
    port = free_port()
    environ = line.environ | {"STRUCTURED_PROMPT_API_PORT": str(port)}
    with program([sys.executable, "-m", "cli.main", "api"], tmp_path, environ) as said:
        url = f"http://127.0.0.1:{port}"
        until(lambda: (asked(f"{url}/readyz") or {}).get("ready") is True, 120, said)
        key = subprocess.run(
            [sys.executable, "-m", "cli.main", "keys", "create", "--tenant", TENANT, "--use-env"],
            env=line.environ, capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        secret = next(word for word in key if word.startswith("sp_"))
        headers = {
            "authorization": f"Bearer {secret}", "content-type": "application/json",
            "traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "prefer": "wait=60",
        }  # fmt: skip
        body = json.dumps({"id": "traced", "prompt": "Is it good?", "cache": "bypass"}).encode()
        request = urllib.request.Request(f"{url}/v1/analyze", body, headers)
        with urllib.request.urlopen(request, timeout=90) as answer:
            assert answer.status == 200
        until(lambda: len(spans(jaeger[1])) >= 6, 120, lambda: str(spans(jaeger[1])))
    found = {name: (service, parent) for name, service, parent in spans(jaeger[1])}
    assert {name: service for name, (service, _) in found.items()} == {
        "POST /v1/analyze": "structured-prompt-api",
        "process prompt.requests": "structured-prompt-intake",
        "process prompt.calls.standard": "structured-prompt-infer",
        "chat small": "structured-prompt-infer",
        "process prompt.results": "structured-prompt-sink-clickhouse",
        "process prompt.usage": "structured-prompt-sink-clickhouse",
    }
    assert {name: parent for name, (_, parent) in found.items()} == {
        "POST /v1/analyze": "",
        "process prompt.requests": "POST /v1/analyze",
        "process prompt.calls.standard": "process prompt.requests",
        "chat small": "process prompt.calls.standard",
        "process prompt.results": "process prompt.calls.standard",
        "process prompt.usage": "process prompt.calls.standard",
    }


async def test_what_the_line_records_is_read_back_from_jaeger(jaeger: tuple[str, str]) -> None:
    on = tracing(jaeger[0], "structured-prompt-test", "1")
    parent = f"00-{TRACE}-b7ad6b7169203331-01"
    await carried(traced_line(on), on, [("traceparent", parent.encode())])
    on.close()
    until(lambda: len(spans(jaeger[1])) >= 4, 60, lambda: str(spans(jaeger[1])))
    assert {name: above for name, _, above in spans(jaeger[1])} == {
        "process prompt.requests": "",
        "process prompt.calls.standard": "process prompt.requests",
        "chat small": "process prompt.calls.standard",
        "process prompt.results": "process prompt.calls.standard",
    }


def spans(ui: str) -> list[tuple[str, str, str]]:
    """(name, process, name of its parent) of each span that Jaeger has of the trace."""
    (trace,) = (asked(f"{ui}/api/traces/{TRACE}") or {}).get("data") or [{"spans": []}]
    names = {span["spanID"]: span["operationName"] for span in trace["spans"]}
    return [
        (
            span["operationName"],
            trace["processes"][span["processID"]]["serviceName"],
            next((names.get(one["spanID"], "") for one in span["references"]), ""),
        )
        for span in trace["spans"]
    ]
