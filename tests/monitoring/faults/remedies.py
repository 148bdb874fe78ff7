"""The steps of runbooks that change something, in the words of their pages; each returns when its effect is seen."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.line.processes import TENANT, until
from tests.monitoring.faults.causes import love, spend
from tests.monitoring.faults.place import Line
from tests.monitoring.faults.rows import Rows
from tests.monitoring.test_runbooks import commands

PAGES = Path(__file__).parents[3] / "docs/runbooks"
SOON = 240.0


def step(page: str, *beginning: str, without: str = "--dry-run", **others: str) -> list[str]:
    """The page's own command that begins so, with `others` for the words that stand for something."""
    found = [
        words[1:] for words in commands(PAGES / f"{page}.md")
        if words[1 : 1 + len(beginning)] == list(beginning) and without not in words
    ]  # fmt: skip
    assert len(found) == 1, f"{page} has {len(found)} steps {' '.join(beginning)}"
    return [others.get(word.strip("-"), word) for word in found[0]]


def redrive_strangers(line: Line, tenant: str, ids: list[str]) -> None:
    """The cause is gone once the tenant is there."""
    line.command("tenants", "create", tenant)
    line.command(*step("DeadLettersRise", "dead-letters", "redrive"))
    _statuses(line, ids)


def redrive_failed(line: Line) -> None:
    line.of.provide()
    line.command(*step("ProviderDown", "dead-letters", "redrive", without="--rate"))
    line.command(*step("ProviderDown", "dead-letters", "redrive"))
    until(lambda: not _open(line, "provider_error"), SOON, lambda: f"{_open(line, 'provider_error')} are left")


def _open(line: Line, code: str) -> int:
    told = line.command("dead-letters", "list", "--open", "--reason", code, "--json")
    return len([text for text in told.splitlines() if text.startswith("{")])


def raise_budget(line: Line) -> None:
    """Requests of the template are answered again."""
    words = step("BudgetUsedUp", "budgets", "create", NAME="tiny", TEMPLATE="sentiment")
    line.command(*words, "--tenant", TENANT)
    asked = [love(line, number, "again") for number in range(5)]
    line.of.publish(asked)
    statuses = _statuses(line, [str(one["id"]) for one in asked])
    assert set(statuses.values()) == {"completed"}, statuses


def bound_spending(line: Line, tenant: str) -> None:
    """A budget of a dollar rejects what is over it; the tenant's rate comes down."""
    words = [{"100": "1"}.get(word, word) for word in step("SpendJumps", "budgets", "create")]
    line.command(*words, "--tenant", tenant)
    statuses = _statuses(line, spend(line, tenant, 20, on_limit="reject"))
    assert list(statuses.values()).count("rejected") >= 10, statuses
    line.command(*[{"demo": tenant}.get(word, word) for word in step("SpendJumps", "tenants", "limit")])
    assert f"{tenant}" in line.command("tenants", "list")


def _statuses(line: Line, ids: list[str]) -> Mapping[str, str]:
    """Of the results of these, once each has one."""
    found = line.of.results(ids, SOON)
    missing = set(ids) - set(found)
    assert not missing, f"{len(missing)} of {len(ids)} have no result"
    return {id: json.loads(found[id][0])["status"] for id in ids}


def take_again(line: Line, rows: Rows, refused: float) -> None:
    """ClickHouse takes the rows again; then what it refused is carried once more."""
    before = rows.count("calls")
    rows.execute("ALTER TABLE calls DROP CONSTRAINT never")
    line.command(*step("SinkRefuses", "sinks", "replay"))
    until(lambda: rows.count("calls") >= before + refused, SOON, lambda: f"{rows.count('calls')} of {before + refused}")


def carry_bill_again(line: Line, rows: Rows, gone: int) -> None:
    line.command(*step("LedgerIsNotBill", "sinks", "replay"))
    until(lambda: rows.count("calls") >= gone, SOON, lambda: f"{rows.count('calls')} of {gone}")


def resume(line: Line) -> None:
    line.command(*step("SinkPausedLong", "sinks", "resume"))
    until(lambda: '"paused"' not in line.command("sinks", "list", "--json"), SOON)
