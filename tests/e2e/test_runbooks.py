"""The steps of runbooks on a stack that runs: each of them answers, those that change something included."""

import uuid

import pytest
from typer.testing import CliRunner

from cli.main import build
from tests.e2e.conftest import Product
from tests.line.processes import until
from tests.monitoring.test_runbooks import RUNBOOKS, commands

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
Steps = list[tuple[str, ...]]
LOOKS = frozenset({
    ("status",), ("doctor",), ("logs",), ("usage",), ("explain",), ("budgets", "list"), ("cache", "stats"),
    ("dead-letters", "list"), ("schemas", "list"), ("sinks", "list"), ("tenants", "list"), ("webhooks", "list"),
})  # fmt: skip
CHANGES = frozenset({
    ("ask",), ("budgets", "create"), ("dead-letters", "redrive"), ("dead-letters", "show"), ("migrate",),
    ("sinks", "replay"), ("sinks", "resume"), ("tenants", "limit"), ("topics", "apply"),
})  # fmt: skip
"""And what wants something that there is first."""
STAYS = frozenset({("up",), ("down",), ("monitor",), ("sink",)})
"""What begins or ends a stack, or stays with what it starts: their own tests run them."""
ELSEWHERE = "sink-exports"
"""A process that a stack has with `up --exports` only."""
ANSWERS = frozenset({0, 1})
"""`doctor` and `status` say with 1 that something is wrong, which they do of a machine as busy as that of a test."""
TENANT = "steps"
"""Whose limits and budgets are changed, so that no other test meets them."""


def steps() -> Steps:
    """Each once."""
    return sorted({tuple(words[1:]) for page in RUNBOOKS for words in commands(page)})


def is_of(kinds: frozenset[tuple[str, ...]], words: tuple[str, ...]) -> bool:
    return words[:1] in kinds or words[:2] in kinds


def looking() -> Steps:
    return [words for words in steps() if (is_of(LOOKS, words) or "--dry-run" in words) and ELSEWHERE not in words]


def changing() -> Steps:
    return [words for words in steps() if is_of(CHANGES, words) and "--dry-run" not in words]


def wrong(product: Product, words: tuple[str, ...], *more: str, **told: str) -> tuple[int, str] | None:
    """How it ended, where that is not well; `told` are what words stand for."""
    given = [*(told.get(word, word) for word in words), *more, "--data", str(product.data)]
    done = CliRunner().invoke(build(), given)
    allowed = ANSWERS if words[0] in ("doctor", "status") else {0}
    well = done.exit_code in allowed and bool(done.output.strip())
    return None if well else (done.exit_code, done.output[-300:])


def test_no_step_is_left_out() -> None:
    known = {*looking(), *changing()}
    rest = [words for words in steps() if words not in known]
    assert [words for words in rest if not is_of(STAYS, words) and ELSEWHERE not in words] == []


def test_every_step_that_only_looks_answers(product: Product) -> None:
    id = uuid.uuid4().hex
    product.publish({"id": id, "tenant": "demo", "prompt": "Is it good?"})
    product.results([id])
    assert len(looking()) > 25
    found = {words: wrong(product, words, REQUEST_ID=id, ID=id, TENANT="demo") for words in looking()}
    assert {words: how for words, how in found.items() if how} == {}


def test_every_step_that_changes_something_does_it(product: Product) -> None:
    id = uuid.uuid4().hex
    product.publish({"id": id, "tenant": TENANT, "prompt": "Is it good?"})
    until(lambda: id in product.run("dead-letters", "list", "--tenant", TENANT, "--json").stdout, 60)
    assert product.run("tenants", "create", TENANT).returncode == 0
    assert len(changing()) > 10
    names = {"NAME": TENANT, "N": "60", "demo": TENANT, "TEMPLATE": "sentiment"}
    found = {}
    for words in changing():
        own = ("--tenant", TENANT) if words[0] == "budgets" or words[:2] == ("dead-letters", "redrive") else ()
        letter = {"NAME": id} if words[:2] == ("dead-letters", "show") else {}
        found[words] = wrong(product, words, *own, **names | letter)
    assert {words: how for words, how in found.items() if how} == {}
    assert [row["status"] for row in product.results([id])[id]][-1] == "completed"  # what was redriven
