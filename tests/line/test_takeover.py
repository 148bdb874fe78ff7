"""Workers that are stopped or killed in the middle of their calls, as processes on the real engines."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.ledger.results import call_id
from tests.conftest import Engines
from tests.line.processes import TENANT, Processes, Worker, processes, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]


@pytest.fixture
def line(engines: Engines, database_url: str, redis_url: str, topic_prefix: str, tmp_path: Path) -> Iterator[Processes]:
    with processes(engines, database_url, redis_url, topic_prefix, tmp_path) as found:
        found.start("intake,wake", free_port())
        yield found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def in_mid_call(line: Processes, **more: str) -> tuple[Worker, Worker]:
    """Two infer workers, each with calls under way."""
    line.provide(latency_ms={"mean": 3_000, "jitter": 0})
    first, other = (line.start("infer", free_port()) for _ in range(2))
    until(lambda: line.serving("infer") == 2, 30, first.log.read_text)
    line.publish([{"id": id, "prompt": f"Where is {id}?", "cache": "bypass", **more} for id in line.ids])
    until(lambda: len(line.calls()) == len(line.ids), 30, first.log.read_text)
    assert len({record.worker for record in line.find(line.ids).values()}) == 2
    return first, other


def bill(line: Processes) -> dict[str, int]:
    """Calls of each request, by the provider's count."""
    calls = line.calls()
    return {id: calls.get(call_id(TENANT, id, 1), 0) for id in line.ids}


def test_L6_L11_a_worker_that_was_stopped_for_longer_than_its_lease_neither_settles_nor_answers(
    line: Processes,
) -> None:
    stopped, _ = in_mid_call(line)
    stopped.send(signal.SIGSTOP)
    until(lambda: sum(bill(line).values()) > len(line.ids), 60)
    stopped.send(signal.SIGCONT)  # it hears its answers while the other one makes the same calls
    until(lambda: stopped.metric("fenced_total") > 0, 20, stopped.log.read_text)
    first = line.results(line.ids, 60)
    line.publish([{"id": "after", "prompt": "Does everything still go?"}])
    again = line.results([*line.ids, "after"], 40)
    assert {id: len(set(again[id])) for id in line.ids} == dict.fromkeys(line.ids, 1)
    assert {id: set(again[id]) for id in line.ids} == {id: set(first[id]) for id in line.ids}
    assert stopped.process.poll() is None
    made, records = bill(line), line.find(line.ids)
    assert set(made.values()) == {1, 2}
    for id, record in records.items():
        # the other one's answer is the result; what the fenced one heard is billed all the same
        assert json.loads(first[id][0])["usage"]["attempts"] == made[id]
        assert [attempt.outcome for attempt in record.attempts] == ["ok"] * made[id]


def test_L9_what_a_killed_worker_had_called_for_is_called_again_where_the_request_says_retry(line: Processes) -> None:
    killed, other = in_mid_call(line)
    killed.send(signal.SIGKILL)
    found = line.results(line.ids, 60)
    assert {json.loads(values[0])["status"] for values in found.values()} == {"completed"}
    made = bill(line)
    repeated = sum(made.values()) - len(line.ids)
    assert set(made.values()) == {1, 2}
    assert other.metric("calls_repeated_total") == line.repeated(line.ids) == repeated
    assert {id: 1 + record.repeated for id, record in line.find(line.ids).items()} == made


def test_L9_where_the_request_says_fail_no_call_of_a_killed_worker_is_made_again(line: Processes) -> None:
    killed, other = in_mid_call(line, on_unknown_outcome="fail")
    killed.send(signal.SIGKILL)
    found = line.results(line.ids, 60)
    ends = {id: json.loads(values[0]) for id, values in found.items()}
    assert bill(line) == dict.fromkeys(line.ids, 1)
    assert {end["status"] for end in ends.values()} == {"completed", "failed"}
    for id, record in line.find(line.ids).items():
        end, outcomes = ends[id], [attempt.outcome for attempt in record.attempts]
        assert outcomes == (["ok"] if end["status"] == "completed" else ["unknown"])
        assert end["error"] is None or end["error"]["code"] == "unknown_outcome"
    assert other.metric("calls_repeated_total") == line.repeated(line.ids) == 0
