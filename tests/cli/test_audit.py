"""`audit list` on a real PostgreSQL: what commands changed."""

import json
import secrets

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("stack")]


def test_commands_leave_rows_which_are_listed(cli, monkeypatch):
    monkeypatch.setenv("STRUCTURED_PROMPT_EXPORT_S3_BUCKET", "exports")
    tenant = f"acme-{secrets.token_hex(3)}"
    mine = ("--tenant", tenant)
    cli("tenants", "create", tenant, "--burst", "5")
    key = json.loads(cli("keys", "create", *mine, "--scope", "usage:read", "--json").output)
    for words in (
        ("keys", "limit", key["id"], "--requests-per-minute", "60"),
        ("budgets", "create", "all", "--limit", "10"),
        ("export", "schedule", "nightly", "--cron", "0 3 * * *"),
        ("export", "pause", "nightly"),
        ("cache", "invalidate", "--all"),
        ("keys", "revoke", key["id"]),
    ):
        assert cli(*words, *mine).exit_code == 0, words
    listed = cli("audit", "list", *mine, "--json").output
    rows = json.loads(listed)
    assert [row["action"] for row in reversed(rows)] == [
        "tenant.create", "key.create", "key.limit", "budget.put", "export_schedule.create", "export_schedule.pause",
        "cache.invalidate", "key.revoke",
    ]  # fmt: skip
    assert {row["actor"]["kind"] for row in rows} == {"operator"}
    assert key["key"] not in listed
    limited = rows[-3]
    assert (limited["before"]["requests_per_minute"], limited["after"]["requests_per_minute"]) == (None, 60)
    assert limited["after"]["scopes"] == ["usage:read"]
    assert "budget all" in cli("audit", "list", *mine, "--type", "budget").output
    assert json.loads(cli("audit", "list", *mine, "--until", "1h", "--json").output) == []
