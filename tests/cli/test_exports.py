"""Exports into a bucket from the command line."""

import json
import os

import pytest

from cli._target import ENGINES
from domain.errors import Conflict, InvalidRequest
from ops.local.environment import write_env

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
