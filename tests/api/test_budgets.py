"""/v1/budgets: a tenant sees and changes its own."""

from decimal import Decimal

import pytest

from domain.budgets.model import Budget
from domain.ledger.results import rejected
from tests.api.door import ASK, Door, assert_problem
from topics.result import PromptResult

FIELDS = {"limit_usd": "10.50", "period": "day"}


async def test_a_budget_is_made_shown_changed_and_removed(door: Door) -> None:
    made = await door.ask({"name": "all", **FIELDS, "model": "openai/*"}, "/v1/budgets")
    assert made.status_code == 201
    assert {name: made.json()[name] for name in ("name", "limit_usd", "period", "model", "template")} == {
        "name": "all", "limit_usd": "10.5", "period": "day", "model": "openai/*", "template": None,
    }  # fmt: skip
    assert [made.json()[name] for name in ("spent_usd", "reserved_usd", "remaining_usd")] == ["0", "0", "10.5"]
    assert made.json()["period_start"] < made.json()["created_at"] < made.json()["period_end"]
    assert (await door.client.get("/v1/budgets")).json() == {"items": [made.json()], "next_cursor": None}
    changed = await door.client.put("/v1/budgets/all", json={"limit_usd": "20"})
    assert (changed.status_code, changed.json()["limit_usd"], changed.json()["period"]) == (200, "20", "month")
    assert (await door.client.get("/v1/budgets/all")).json() == changed.json()
    assert (await door.client.delete("/v1/budgets/all")).status_code == 204
    assert_problem(await door.client.delete("/v1/budgets/all"), 404, "not_found")
    assert_problem(await door.client.get("/v1/budgets/all"), 404, "not_found")


async def test_a_budget_without_a_name_gets_one_and_a_name_is_taken_once(door: Door) -> None:
    unnamed = await door.ask(FIELDS, "/v1/budgets")
    assert (unnamed.status_code, unnamed.json()["name"][:7]) == (201, "budget-")
    again = await door.ask({"name": unnamed.json()["name"], **FIELDS}, "/v1/budgets")
    assert_problem(again, 409, "exists")
    assert (await door.client.put("/v1/budgets/new", json=FIELDS)).status_code == 201


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"limit_usd": "-1"}, "/limit_usd"),
        ({"limit_usd": "a lot"}, "/limit_usd"),
        ({"limit_usd": "0.0000000001"}, "/limit_usd"),
        ({"period": "day"}, "/limit_usd"),
        ({**FIELDS, "period": "week"}, "/period"),
        ({**FIELDS, "tenant": "globex"}, "/tenant"),
        ({**FIELDS, "name": "no/slash"}, "/name"),
    ],
)
async def test_a_wrong_budget_says_what_is_wrong(door: Door, body: dict[str, str], path: str) -> None:
    problem = assert_problem(await door.ask(body, "/v1/budgets"), 422, "invalid_request")
    assert problem["errors"][0]["path"] == path
    assert_problem(await door.client.put("/v1/budgets/a%20b", json=FIELDS), 422, "invalid_request")
    assert_problem(await door.ask(b"{", "/v1/budgets"), 422, "invalid_request")


async def test_nobody_sees_or_touches_a_budget_of_another_tenant(door: Door) -> None:
    await door.budgets.put(Budget("globex", "theirs", Decimal(1), "day"))
    assert (await door.client.get("/v1/budgets")).json()["items"] == []
    assert_problem(await door.client.get("/v1/budgets/theirs"), 404, "not_found")
    assert_problem(await door.client.delete("/v1/budgets/theirs"), 404, "not_found")
    await door.client.put("/v1/budgets/theirs", json=FIELDS)
    assert [one.budget.limit_usd for one in await door.budgets.standings("globex")] == [1]
    assert (await door.strangers.get("/v1/budgets")).status_code == 401


async def test_a_request_over_its_budget_is_a_402_with_its_result(door: Door) -> None:
    reason = "this call may cost $0.01, and $0 of the budget 'all' of $1 is left"
    door.line.endings["a"] = rejected("budget_exceeded", reason)
    problem = assert_problem(await door.ask({**ASK, "id": "a"}), 402, "budget_exceeded")
    assert problem["detail"] == reason
    assert problem["type"] == "urn:problem-type:structured-prompt:budget-exceeded"
    result = PromptResult.model_validate(problem["result"])
    assert (result.status, result.usage.attempts, result.error and result.error.retryable) == ("rejected", 0, False)
