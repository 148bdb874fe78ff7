"""`up`, as a user: one command, a whole stack, one answer, and nothing left when it is over."""

import json
import os
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from ops.local.environment import read_env
from ops.local.instance import read_state

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
EXPECTED = [
    "kafka",
    "postgres",
    "redis",
    "clickhouse",
    "provider",
    "api-1",
    "worker-intake-1",
    "worker-infer-1",
    "worker-wake-1",
    "sink-clickhouse",
    "sink-destinations",
]


def command(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, **environment},
    )


def rows(data):
    return {row["name"]: row for row in json.loads(command("status", "--data", data, "--json").stdout)}


def until(happened, seconds):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def ask(env, id):
    answer = httpx.post(
        env["API_URL"] + "/v1/analyze",
        json={"id": id, "prompt": "What a lovely parcel!"},
        headers={"Authorization": f"Bearer {env['API_KEY']}"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """A stack of its own, started in a shell whose variables point to somebody's production."""
    data = tmp_path_factory.mktemp("up")
    dangerous = {
        "DATABASE_URL": "postgresql://x:x@192.0.2.1/prod",
        "OPENAI_API_KEY": "sk-real",
        "REDIS_URL": "redis://192.0.2.1",
    }
    began = time.monotonic()
    done = command("up", "--detach", "--data", data, **dangerous)
    assert done.returncode == 0, done.stdout + done.stderr
    yield data, done.stdout, time.monotonic() - began
    command("down", "--data", data)


def test_it_says_when_it_is_ready_and_where(up):
    data, output, _ = up
    env = read_env(data)
    assert output.rstrip().endswith(f"ready {env['API_URL']}")
    assert env.keys() == {
        "KAFKA_BOOTSTRAP_SERVERS",
        "DATABASE_URL",
        "REDIS_URL",
        "CLICKHOUSE_URL",
        "API_URL",
        "API_KEY",
        "PROVIDER_URL",
    }
    assert urlsplit(env["PROVIDER_URL"]).path == "/v1"


def test_every_process_is_there_and_well(up):
    data, _, _ = up
    until(lambda: all(row["health"] == "healthy" for row in rows(data).values()), 20)
    found = rows(data)
    assert sorted(found) == sorted(EXPECTED)
    assert {row["state"] for row in found.values()} == {"running"}


def test_at_rest_it_stays_within_its_memory(up):
    data, _, _ = up
    until(lambda: sum(row["rss_mb"] for row in rows(data).values()) <= 1500, 20)


def test_nothing_listens_beyond_this_machine(up):
    data, _, _ = up
    supervisor = psutil.Process(read_state(data).pid)
    family = [supervisor, *supervisor.children(recursive=True)]
    listening = {
        connection.laddr.ip
        for process in family
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_a_question_is_answered(up):
    data, _, _ = up
    answer = ask(read_env(data), "up-1")
    assert (answer["status"], answer["provider"]) == ("completed", "simulated")


def test_a_second_up_on_the_directory_is_refused(up):
    data, _, _ = up
    refused = command("up", "--data", data)
    assert refused.returncode == 1
    assert "already in use" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("name", ["worker-infer-1", "redis", "postgres"])
def test_what_is_killed_comes_back_and_answers(up, name):
    data, _, _ = up
    before = rows(data)[name]
    os.kill(before["pid"], signal.SIGKILL)

    def is_back():
        now = rows(data)[name]
        return now["restarts"] > before["restarts"] and now["state"] == "running"

    until(is_back, 30)
    assert ask(read_env(data), f"after-{name}")["status"] == "completed"


def test_a_killed_supervisor_takes_all_with_it_and_the_next_up_has_the_same_data(up):
    data, _, _ = up
    env, state = read_env(data), read_state(data)
    first = ask(env, "kept")
    os.kill(state.pid, signal.SIGKILL)
    until(lambda: not any(psutil.pid_exists(row.pid) for row in state.processes), 20)
    again = command("up", "--detach", "--data", data)
    assert again.returncode == 0, again.stdout + again.stderr
    assert read_env(data) == env
    assert ask(env, "kept") == first


def test_down_leaves_nothing(up):
    data, _, _ = up
    state = read_state(data)
    assert command("down", "--data", data).returncode == 0
    assert not any(psutil.pid_exists(row.pid) for row in state.processes)
    assert command("status", "--data", data, "--json").stdout.strip() == "[]"
