"""Operations on real engines, as an operator types them."""

import json
import secrets

import pytest

from domain.accounts.keys import well_formed
from domain.errors import Conflict
from domain.registry.schemas import Incompatible
from topics.table import TABLE

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("stack")]


@pytest.fixture
def tenant(cli):
    name = f"acme-{secrets.token_hex(3)}"
    assert cli("tenants", "create", name, "--burst", "5").exit_code == 0
    return name


def test_topics_are_there_after_apply_and_a_second_apply_finds_nothing_to_do(cli):
    result = cli("topics", "apply", "--strict", "--json")
    assert result.exit_code == 0
    assert {row["state"] for row in json.loads(result.output)} == {"ok"}
    assert len(json.loads(result.output)) == len(TABLE)


def test_migrate_can_be_repeated(cli):
    assert "ClickHouse is up to date" in cli("migrate").output


def test_a_tenant_is_created_once(cli, tenant):
    again = cli("tenants", "create", tenant)
    assert isinstance(again.exception, Conflict)
    assert cli("tenants", "create", tenant, "--if-missing").exit_code == 0
    [row] = [row for row in json.loads(cli("tenants", "list", "--json").output) if row["name"] == tenant]
    assert (row["active"], row["requests_per_minute"], row["burst"], row["store_answers"]) == (True, None, 5, False)
    assert cli("tenants", "create", "no/slash").exit_code == 2
    assert cli("tenants", "create", f"{tenant}.a", "--store-answers").exit_code == 0


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(cli, tenant):
    created = json.loads(cli("keys", "create", "--tenant", tenant, "--name", "ci", "--json").output)
    assert well_formed(created["key"])
    listed = cli("keys", "list", "--tenant", tenant).output
    assert created["id"] in listed
    assert created["key"] not in listed
    assert cli("keys", "revoke", created["id"], "--tenant", tenant).exit_code == 0
    assert isinstance(cli("keys", "revoke", "key_0", "--tenant", tenant).exception, Conflict)
    [row] = json.loads(cli("keys", "list", "--tenant", tenant, "--json").output)
    assert row["revoked_at"] is not None


def test_a_key_is_made_for_what_it_needs(cli, tenant):
    wanted = ("--scope", "usage:read", "--scope", "requests:write")
    created = json.loads(cli("keys", "create", "--tenant", tenant, *wanted, "--json").output)
    assert created["scopes"] == ["requests:write", "usage:read"]
    assert json.loads(cli("keys", "create", "--tenant", tenant, "--json").output)["scopes"] == ["admin"]
    listed = json.loads(cli("keys", "list", "--tenant", tenant, "--json").output)
    assert [key["scopes"] for key in listed] == [["requests:write", "usage:read"], ["admin"]]
    wrong = cli("keys", "create", "--tenant", tenant, "--scope", "everything")
    assert wrong.exit_code == 2
    assert "there is no scope 'everything'" in wrong.output


def test_a_key_of_nobody_is_refused(cli):
    assert isinstance(cli("keys", "create", "--tenant", "nobody").exception, Conflict)


def test_schemas_get_versions_that_fit(cli, tenant, tmp_path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text('{"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}}')
    second.write_text('{"type": "object", "properties": {"label": {"enum": ["good"]}}}')
    of = ("--tenant", tenant)
    added = cli("schemas", "add", "verdict", str(first), *of).output
    assert "verdict is now at version 1 (BACKWARD)" in added
    assert "warning: simulated/small: the root: the object is open; say additionalProperties: false" in added
    assert "is already at version 1" in cli("schemas", "add", "verdict", str(first), *of).output
    refused = cli("schemas", "add", "verdict", str(second), *of)
    assert isinstance(refused.exception, Incompatible)
    assert 'version 1 allows "bad"' in refused.output
    assert cli("schemas", "compatibility", "verdict", "forward", *of).exit_code == 0
    assert "would be at version 2" in cli("schemas", "add", "verdict", str(second), "--dry-run", *of).output
    assert "is now at version 2 (FORWARD)" in cli("schemas", "add", "verdict", str(second), *of).output
    [row] = json.loads(cli("schemas", "list", "--json", *of).output)
    assert (row["name"], row["latest"], row["compatibility"]) == ("verdict", 2, "FORWARD")
    assert json.loads(cli("schemas", "show", "verdict", "--version", "1", *of).output)["version"] == 1
    assert isinstance(cli("schemas", "show", "none", *of).exception, Conflict)
    assert isinstance(cli("schemas", "compatibility", "none", "FULL", *of).exception, Conflict)
    row = json.dumps({"tenant": tenant, "prompt": "Is it good?", "output_schema": {"name": "verdict", "version": 1}})
    asked = cli("submit", "-", "--estimate", "--json", *of, stdin=row)
    assert json.loads(asked.output)["requests"] == 1, asked.output


def test_limits_come_from_a_plan_and_of_its_own(cli, tenant):
    plan = f"{tenant}.plan"
    assert isinstance(cli("tenants", "limit", tenant, "--plan", plan).exception, Conflict)
    assert cli("plans", "set", plan, "--requests-per-minute", "60", "--concurrency", "3").exit_code == 0
    assert plan in cli("plans", "list").output
    assert cli("tenants", "limit", tenant, "--plan", plan, "--tokens-per-minute", "1000").exit_code == 0
    [row] = [one for one in json.loads(cli("tenants", "list", "--json").output) if one["name"] == tenant]
    assert (row["plan"], row["burst"], row["tokens_per_minute"], row["concurrency"]) == (plan, 5, 1000, None)
    assert cli("tenants", "limit", tenant, "--concurrency", "2", "--clear").exit_code == 0
    [row] = [one for one in json.loads(cli("tenants", "list", "--json").output) if one["name"] == tenant]
    assert (row["plan"], row["burst"], row["tokens_per_minute"], row["concurrency"]) == (None, None, None, 2)
    assert isinstance(cli("tenants", "limit", "nobody").exception, Conflict)


def test_a_key_has_limits_of_its_own(cli, tenant):
    created = json.loads(cli("keys", "create", "--tenant", tenant, "--concurrency", "4", "--json").output)
    assert cli("keys", "limit", created["id"], "--tenant", tenant, "--requests-per-minute", "9").exit_code == 0
    [row] = json.loads(cli("keys", "list", "--tenant", tenant, "--json").output)
    assert (row["concurrency"], row["requests_per_minute"]) == (4, 9)
    assert isinstance(cli("keys", "limit", "key_no", "--tenant", tenant).exception, Conflict)
