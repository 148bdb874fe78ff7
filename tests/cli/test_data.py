"""Requests in and results out, on real engines with a line of three lines of code in between."""

import csv
import io
import json
import threading
import time

import pytest
from confluent_kafka import Consumer, Producer

from benchmarks.codec import result as benchmark_result
from cli._time import parse_since
from topics.codec import body_hash, encode, request_hash

pytestmark = pytest.mark.integration


@pytest.fixture
def line(stack, engines, topic_prefix):
    """Answers every request: completed, or failed where the prompt says so; unreadable ones are dead-lettered."""
    stopping = threading.Event()
    client = {"bootstrap.servers": engines.kafka}
    consumer = Consumer({**client, "group.id": topic_prefix, "auto.offset.reset": "earliest"})
    consumer.subscribe([f"{topic_prefix}prompt.requests"])
    producer = Producer({**client, "linger.ms": 0})

    def run():
        while not stopping.is_set():
            for message in consumer.consume(100, 0.05):
                topic, value = answer(json.loads(message.value()))
                producer.produce(f"{topic_prefix}{topic}", value)
            producer.flush(5)
        consumer.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stopping.set()
    thread.join()


def answer(request):
    if request["tenant"] == "nobody":
        return "prompt.dead-letters", json.dumps(
            {
                "stage": "intake",
                "code": "unknown_tenant",
                "reason": "no tenant",
                "tenant": "nobody",
                "id": request["id"],
            }
        ).encode()
    failed = "fail" in str(request.get("prompt"))
    error = {"code": "provider_error", "message": "it broke", "retryable": True, "attempts": 1, "errors": []}
    mine = {name: request[name] for name in ("id", "tenant")} | {"request_hash": request_hash(body_hash(request))}
    ended = {"status": "failed", "output": None, "error": error} if failed else {}
    return "prompt.results", encode(benchmark_result() | mine | ended)


def summary(output):
    return json.loads(output.strip().splitlines()[-1])


def test_rows_are_sent_answered_and_summed(cli, line, tmp_path):
    rows = [{"id": f"row-{i}", "prompt": "x"} for i in range(1200)]
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    result = cli("submit", str(file), "--output", str(out), "--timeout", "60", "--json")
    assert result.exit_code == 0, result.output
    assert summary(result.stdout) == {
        "sent": 1200, "refused": 0, "completed": 1200, "unanswered": 0, "cost_usd": "0.01128",
    }  # fmt: skip
    assert {json.loads(line)["id"] for line in out.read_text().splitlines()} == {row["id"] for row in rows}


def test_what_did_not_complete_makes_the_command_fail(cli, line):
    rows = ['{"prompt":"fine"}', '{"prompt":"fail"}', "nonsense", '{"prompt":"x","tenant":"nobody"}']
    result = cli("submit", "-", "--wait", "--timeout", "60", "--json", stdin="\n".join(rows))
    assert result.exit_code == 1
    said = summary(result.stdout)
    assert {name: said[name] for name in ("sent", "refused", "completed", "failed", "dead_lettered")} == {
        "sent": 3, "refused": 1, "completed": 1, "failed": 1, "dead_lettered": 1,
    }  # fmt: skip
    assert "line 3: not JSON" in result.stderr


def test_why_requests_did_not_complete_is_said_and_an_id_is_one_request(cli, line):
    rows = [
        {"id": "a", "prompt": "fail"}, {"id": "b", "prompt": "fail"}, {"id": "c", "prompt": "x"},
        {"id": "c", "prompt": "y"}, {"id": "d", "prompt": "x", "tenant": "nobody"},
    ]  # fmt: skip
    result = cli("submit", "-", "--wait", "--timeout", "60", "--json", stdin="\n".join(map(json.dumps, rows)))
    said = summary(result.stdout)
    assert (result.exit_code, said["refused"], said["unanswered"]) == (1, 1, 0)
    assert (said["completed"], said["failed"], said["dead_lettered"]) == (1, 2, 1)
    assert "line 4: its id, c, stands before, in a row with other content" in result.stderr
    assert " and 1 more: provider_error: it broke" in result.stderr
    assert "d: unknown_tenant: no tenant" in result.stderr


def test_a_file_without_rows_is_said_to_have_none(cli, stack):
    result = cli("submit", "-", stdin="")
    assert (result.exit_code, "- has no rows" in result.stderr) == (0, True)


def test_waiting_ends_with_its_time(cli, stack):
    result = cli("submit", "-", "--wait", "--timeout", "0.5", stdin='{"prompt":"x"}')
    assert result.exit_code == 1
    assert "unanswered 1" in result.output


def test_a_question_gets_its_answer(cli, line, tmp_path):
    assert json.loads(cli("ask", "where is it?").stdout) == {"label": "negative"}
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    whole = json.loads(cli("ask", "-", "--schema", str(schema), "--model", "smart", "--json", stdin="hello").stdout)
    assert whole["status"] == "completed"
    failed = cli("ask", "please fail")
    assert failed.exit_code == 1
    assert "provider_error: it broke" in failed.output


def test_a_question_nobody_answers_says_where_to_look(cli, stack):
    result = cli("ask", "hello?", "--timeout", "0.3")
    assert result.exit_code == 1
    assert "structured-prompt explain" in result.output


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_schema_that_is_none_is_bad_usage(cli, stack, tmp_path, content):
    schema = tmp_path / "schema.json"
    schema.write_text(content)
    assert cli("ask", "x", "--schema", str(schema)).exit_code == 2
    assert cli("ask", "").exit_code == 2


def test_an_estimate_sends_nothing(cli, stack):
    stdin = '{"text":"I love it"}\n{"text":"x","template":{"name":"nope"}}'
    result = cli("submit", "-", "--template", "sentiment", "--estimate", "--json", stdin=stdin)
    said = json.loads(result.stdout)
    assert (said["requests"], said["refused"]) == (1, 1)
    assert 0 < float(said["usd_at_least"]) < float(said["usd_at_most"])
    assert cli("results").stdout == ""
    assert "estimate" in cli("submit", "-", "--estimate", stdin='{"prompt":"x"}').stdout


def test_an_estimate_says_what_of_a_schema_the_provider_will_not_enforce(cli, stack):
    row = json.dumps({"prompt": "x", "output_schema": {"type": "object", "properties": {"a": {"type": "null"}}}})
    said = json.loads(cli("submit", "-", "--estimate", "--json", stdin=f"{row}\n{row}").stdout)
    assert [text.partition(": ")[0] for text in said["warnings"]] == ["simulated/small"] * 2
    assert "the object is open" in said["warnings"][1]


def test_results_are_printed_as_they_are_and_by_tenant(cli, stack, engines, topic_prefix):
    producer = Producer({"bootstrap.servers": engines.kafka})
    values = [encode(benchmark_result() | {"id": f"r{i}", "tenant": "acme" if i else "other"}) for i in range(3)]
    for value in values:
        producer.produce(f"{topic_prefix}prompt.results", value)
    producer.flush(10)
    assert sorted(cli("results").stdout_bytes.splitlines()) == sorted(values)
    assert sorted(cli("results", "--tenant", "acme").stdout_bytes.splitlines()) == sorted(values[1:])
    assert cli("results", "--since", "2100-01-01T00:00:00Z").stdout == ""


def test_a_file_that_is_not_there_is_bad_usage(cli, stack):
    assert cli("submit", "/nowhere/at/all.jsonl").exit_code == 2
    assert cli("submit", "-", "--output", "/nowhere/at/all", stdin='{"prompt":"x"}').exit_code == 2


def test_a_request_nobody_knows_is_said_to_be_unknown(cli, stack):
    assert "no request 'x'" in str(cli("explain", "x").exception)


@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_usage_of_nobody_is_empty_in_every_format(cli, stack, format):
    result = cli("usage", "--format", format, "--by", "tenant, model", "--since", "7d")
    assert result.exit_code == 0
    if format == "json":
        assert json.loads(result.stdout) == []
    if format == "csv":
        assert next(csv.reader(io.StringIO(result.stdout)))[:3] == ["tenant", "model", "requests"]


def test_an_unknown_dimension_is_bad_usage_and_the_near_one_named(cli, stack):
    result = cli("usage", "--by", "modle")
    assert result.exit_code == 2
    assert "model" in result.output


def test_spans_of_time_are_read():
    assert time.time() - parse_since("90s").timestamp() == pytest.approx(90, abs=5)
    assert parse_since("2026-01-01").isoformat() == "2026-01-01T00:00:00+00:00"
