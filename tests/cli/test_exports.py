"""Exports into a bucket from the command line."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.request import urlopen

import pytest

from cli._target import ENGINES
from connectors.postgres.exports import PostgresExportJobs
from connectors.postgres.pool import connect
from domain.errors import Conflict, InvalidRequest
from domain.exports.job import Progress
from ops.local.environment import write_env
from tests.line.processes import until
from tests.line.test_takeover import free_port

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("stack")]


def test_nothing_is_ordered_that_nobody_can_make(cli) -> None:
    assert cli("tenants", "create", "demo", "--if-missing").exit_code == 0
    before = [cli("export", words, "--json").stdout for words in ("list", "schedules")]
    for words in (("create",), ("schedule", "nightly", "--cron", "0 3 * * *")):
        refused = cli("export", *words).exception
        assert isinstance(refused, InvalidRequest), words
        assert "no bucket is set up here: set STRUCTURED_PROMPT_EXPORT_S3_BUCKET" in str(refused)
    assert [cli("export", words, "--json").stdout for words in ("list", "schedules")] == before


def test_the_bucket_of_an_embedded_stack_is_told_by_its_env_file(cli, tmp_path) -> None:
    assert cli("tenants", "create", "demo", "--if-missing").exit_code == 0
    addresses = {name: os.environ[name] for name in ENGINES}
    write_env(tmp_path, addresses)
    assert isinstance(cli("export", "create", "--data", str(tmp_path)).exception, InvalidRequest)
    write_env(tmp_path, {**addresses, "STRUCTURED_PROMPT_EXPORT_S3_BUCKET": "exports"})
    assert "is queued" in cli("export", "create", "--data", str(tmp_path)).stdout


def test_an_export_is_ordered_shown_and_cancelled(cli, monkeypatch) -> None:
    monkeypatch.setenv("STRUCTURED_PROMPT_EXPORT_S3_BUCKET", "exports")
    assert cli("tenants", "create", "demo", "--if-missing").exit_code == 0
    made = json.loads(cli("export", "create", "--format", "csv", "--fields", "id,cost_usd", "--json").stdout)
    assert (made["status"], made["fields"]) == ("queued", ["id", "cost_usd"])
    assert made["id"] in cli("export", "list").stdout
    assert json.loads(cli("export", "show", made["id"]).stdout) == made
    assert cli("export", "cancel", made["id"]).stdout == f"{made['id']} is cancelled\n"
    assert isinstance(cli("export", "cancel", made["id"]).exception, Conflict)
    assert isinstance(cli("export", "show", "exp_1").exception, Conflict)
    assert isinstance(cli("export", "create", "--fields", "id,output").exception, InvalidRequest)
    assert cli("export", "create", "--format", "xml").exit_code == 2

    words = ("export", "schedule", "nightly", "--cron", "0 3 * * *", "--time-zone", "Europe/Berlin")
    assert "nightly runs next at" in cli(*words).stdout
    assert isinstance(cli(*words).exception, Conflict)
    assert isinstance(cli("export", "schedule", "x", "--cron", "soon").exception, InvalidRequest)
    assert "Missing option '--cron'" in cli("export", "schedule", "x").output
    assert cli("export", "pause", "nightly").stdout == "nightly is paused\n"
    (row,) = json.loads(cli("export", "schedules", "--json").stdout)
    assert (row["name"], row["next_at"], bool(row["paused_at"])) == ("nightly", None, True)
    assert cli("export", "resume", "nightly").stdout == "nightly goes on\n"
    assert cli("export", "unschedule", "nightly").stdout == "nightly is removed\n"
    assert isinstance(cli("export", "unschedule", "nightly").exception, Conflict)


async def complete(id: str) -> None:
    """It, and what other tests left in the queue, has its file in the bucket, as `sink exports` leaves it."""
    pool, now = await connect(os.environ["DATABASE_URL"], 1), datetime.now(UTC)
    jobs, done = PostgresExportJobs(pool), set()
    while id not in done:
        job = await jobs.take(now, now + timedelta(minutes=1))
        assert job is not None
        assert await jobs.end(job, "completed", now, "", Progress(rows=1, bytes=9, key="given/file.csv"))
        done.add(job.id)
    await pool.close()


@pytest.fixture
def api(stack, tmp_path) -> Iterator[str]:
    """The API as a process, with a bucket whose settings nobody else has; its URL."""
    port, metrics, own = free_port(), free_port(), "STRUCTURED_PROMPT_EXPORT_S3_"
    environ = os.environ | {
        "STRUCTURED_PROMPT_API_PORT": str(port), "STRUCTURED_PROMPT_METRICS_PORT": str(metrics),
        f"{own}BUCKET": "exports", f"{own}ENDPOINT": "http://127.0.0.1:9",
        f"{own}ACCESS_KEY_ID": "access", f"{own}SECRET_ACCESS_KEY": "secret",
    }  # fmt: skip
    log = tmp_path / "api.log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "cli.main", "api"], env=environ, stdout=output, stderr=output)

    def answers() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        until(answers, 90, log.read_text)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def test_the_url_of_a_file_is_asked_of_the_api_where_the_bucket_is_not_known_here(cli, api, tmp_path) -> None:
    for name in ("demo", "other"):
        assert cli("tenants", "create", name, "--if-missing").exit_code == 0
    made = cli("keys", "create", "--tenant", "demo", "--name", "k", "--json")
    key = json.loads(made.stdout)["key"]
    addresses = {name: os.environ[name] for name in ENGINES}
    write_env(tmp_path, {**addresses, "API_URL": api, "API_KEY": key, "STRUCTURED_PROMPT_EXPORT_S3_BUCKET": "exports"})
    words = ("--data", str(tmp_path))
    id = json.loads(cli("export", "create", "--format", "csv", "--json", *words).stdout)["id"]
    asyncio.run(complete(id))
    shown = json.loads(cli("export", "show", id, *words).stdout)
    assert shown["url"].startswith("http://127.0.0.1:9/exports/given/file.csv?")
    assert shown["url_expires_at"] > shown["ended_at"]
    theirs = json.loads(cli("export", "create", "--tenant", "other", "--json", *words).stdout)["id"]
    asyncio.run(complete(theirs))
    not_the_keys = cli("export", "show", theirs, "--tenant", "other", *words)
    assert json.loads(not_the_keys.stdout)["url"] is None
    assert "no URL" in not_the_keys.stderr
    write_env(tmp_path, addresses)
    nobody = cli("export", "show", id, *words)
    assert (nobody.exit_code, json.loads(nobody.stdout)["url"]) == (0, None)
    assert "API_URL" in nobody.stderr
