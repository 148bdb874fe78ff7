"""Started in the background, asked and stopped from outside, and the commands that do so."""

import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import build
from ops.local import control
from ops.local.doctor import examine
from ops.local.instance import is_running, read_state
from ops.local.kafka_jars import default_cache
from ops.local.program import StackError
from ops.local.status import rows


def fake_stack(data, *arguments):
    return [sys.executable, str(Path(__file__).with_name("fake_stack.py")), str(data), *arguments]


@pytest.fixture
def running(tmp_path):
    said = []
    control.start_detached(tmp_path, fake_stack(tmp_path), said.append)
    yield tmp_path, "".join(said)
    control.stop(tmp_path)


def run(*words):
    return CliRunner().invoke(build(), [str(word) for word in words])


def test_what_starts_in_the_background_says_what_it_says_in_the_foreground(running):
    data, said = running
    assert "worker-infer-1 up" in said
    assert read_state(data).phase == "ready"


def test_a_second_start_on_the_same_directory_is_refused(running):
    data, _ = running
    with pytest.raises(StackError, match="already in use"):
        control.start_detached(data, [sys.executable, "-c", "pass"], print)
    assert is_running(data)


def test_a_start_that_fails_gives_its_reason_once(tmp_path):
    said = []
    with pytest.raises(StackError, match=r"^worker-infer-1 ended with 1.*\n.*no luck") as caught:
        control.start_detached(tmp_path, fake_stack(tmp_path, "--fail"), said.append)
    assert "no luck" not in "".join(said)
    assert "error:" not in str(caught.value)
    assert not is_running(tmp_path)


async def test_a_row_says_health_lag_memory_and_restarts(running):
    data, _ = running
    external, row = await rows(data)
    assert (external.name, external.state) == ("redis", "external")
    assert (row.name, row.state, row.health, row.lag, row.restarts) == ("worker-infer-1", "running", "healthy", 7, 0)
    assert row.rss_mb > 1


def test_status_for_scripts_and_for_people(running):
    data, _ = running
    listed = json.loads(run("status", "--data", data, "--json").output)
    assert listed[1].keys() == {"name", "pid", "state", "health", "lag", "rss_mb", "restarts"}
    assert "worker-infer-1" in run("status", "--data", data).output


def test_logs_of_one_and_of_all(running):
    data, _ = running
    assert "serving" in run("logs", "worker-infer-1", "--data", data).output
    assert "==> worker-infer-1 <==" in run("logs", "--data", data).output
    unknown = run("logs", "nobody", "--data", data)
    assert unknown.exit_code == 2
    assert "worker-infer-1" in unknown.output


def test_down_stops_it_and_status_says_so(running):
    data, _ = running
    assert run("down", "--data", data).output.startswith("stopped")
    assert not is_running(data)
    assert run("down", "--data", data).output.startswith("nothing runs")
    after = run("status", "--data", data, "--json")
    assert (after.exit_code, after.stdout.strip()) == (1, "[]")


def test_an_unknown_word_of_use_env_is_bad_usage(tmp_path):
    refused = run("up", "--data", tmp_path, "--use-env", "kafka,mysql")
    assert refused.exit_code == 2
    assert "mysql" in refused.output


def test_doctor_finds_this_machine_fit(tmp_path):
    checks = examine(tmp_path / "new", default_cache(), {"PATH": os.environ["PATH"]}, ())
    assert [check.name for check in checks if check.verdict == "fail"] == []


def test_doctor_names_what_is_wrong_with_the_settings(tmp_path):
    caller = {"REDIS_URL": "redis://x", "OPENAI_API_KEY": "k"}
    checks = {check.name: check for check in examine(tmp_path, default_cache(), caller, ("postgres",))}
    assert checks["settings"].verdict == "fail"
    assert "DATABASE_URL" in checks["settings"].found
    assert "OPENAI_API_KEY" in checks["environment"].found


def test_doctor_says_whether_there_is_a_semantic_cache(tmp_path):
    def check(**caller):
        found = examine(tmp_path, default_cache(), caller, ("postgres",) if caller else ())
        (one,) = [check for check in found if check.name == "semantic cache"]
        return one

    assert (check().verdict, check().found) == ("ok", "pgvector")
    away = check(DATABASE_URL="postgresql://app:secret@127.0.0.1:1/none")
    assert away.verdict == "warn"
    assert "secret" not in away.found


def test_doctor_as_a_command(tmp_path):
    answer = run("doctor", "--data", tmp_path, "--json")
    assert {row["name"] for row in json.loads(answer.output)} >= {"Java runtime", "PostgreSQL", "Redis", "disk"}
    assert "what to do" in run("doctor", "--data", tmp_path).output


def test_a_command_is_written_as_the_shell_finds_it(monkeypatch, tmp_path):
    text = "room in /srv/structured-prompt data, or structured-prompt up --data ELSEWHERE; `structured-prompt migrate`"
    monkeypatch.setenv("PATH", str(tmp_path))
    ours = f"{Path(sys.executable).parent}/structured-prompt"
    where = f"room in /srv/structured-prompt data, or {ours} up --data ELSEWHERE; `{ours} migrate`"
    assert control.typed(text) == where
    assert Path(ours).exists()
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert control.typed(text) == text
