"""The steps of runbooks that only look, on a stack that runs: each of them answers."""

import uuid

import pytest
from typer.testing import CliRunner

from cli.main import build
from tests.e2e.conftest import Product
from tests.monitoring.test_runbooks import RUNBOOKS, commands

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
LOOKS = frozenset({
    ("status",), ("doctor",), ("logs",), ("usage",), ("explain",), ("budgets", "list"), ("cache", "stats"),
    ("dead-letters", "list"), ("schemas", "list"), ("sinks", "list"), ("tenants", "list"),
})  # fmt: skip
ELSEWHERE = "sink-exports"
"""A process that a stack has with `up --exports` only."""
ANSWERS = frozenset({0, 1})
"""`doctor` and `status` say with 1 that something is wrong, which they do of a machine as busy as that of a test."""


def looking() -> list[tuple[str, ...]]:
    """Each step once."""
    steps = {tuple(words[1:]) for page in RUNBOOKS for words in commands(page)}
    found = {words for words in steps if words[:1] in LOOKS or words[:2] in LOOKS or "--dry-run" in words}
    return sorted(words for words in found if ELSEWHERE not in words)


def test_every_step_that_only_looks_answers(product: Product) -> None:
    id = uuid.uuid4().hex
    product.publish({"id": id, "tenant": "demo", "prompt": "Is it good?"})
    product.results([id])
    steps = looking()
    assert len(steps) > 25
    told = {"REQUEST_ID": id, "ID": id, "TENANT": "demo"}
    wrong = {}
    for words in steps:
        filled = [told.get(word, word) for word in words]
        done = CliRunner().invoke(build(), [*filled, "--data", str(product.data)])
        allowed = ANSWERS if words[0] in ("doctor", "status") else {0}
        if done.exit_code not in allowed or not done.output.strip():
            wrong[words] = (done.exit_code, done.output[-300:])
    assert wrong == {}
