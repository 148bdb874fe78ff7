"""`budgets` on a real PostgreSQL."""

import json
import secrets

import pytest

from domain.errors import Conflict

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("stack")]


def test_a_budget_is_made_listed_changed_and_deleted(cli):
    tenant = f"acme-{secrets.token_hex(3)}"
    cli("tenants", "create", tenant)
    mine = ("--tenant", tenant)
    made = cli("budgets", "create", "all", "--limit", "10.50", "--per", "day", "--model", "openai/*", *mine, "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.output)["remaining_usd"] == "10.5"
    assert isinstance(cli("budgets", "create", "all", "--limit", "1", *mine).exception, Conflict)
    assert "may spend $20 a month" in cli("budgets", "create", "all", "--limit", "20", "--replace", *mine).output
    [row] = json.loads(cli("budgets", "list", *mine, "--json").output)
    assert (row["name"], row["limit_usd"], row["period"], row["model"]) == ("all", "20", "month", None)
    assert "20" in cli("budgets", "list", *mine).output
    assert cli("budgets", "delete", "all", *mine).exit_code == 0
    assert isinstance(cli("budgets", "delete", "all", *mine).exception, Conflict)
    assert isinstance(cli("budgets", "create", "all", "--limit", "1", "--tenant", "nobody").exception, Conflict)
    for wrong in (("--limit", "much"), ("--limit", "-1"), ("--limit", "1", "--per", "week")):
        assert cli("budgets", "create", "all", *wrong, *mine).exit_code == 2
