"""A short run of what `make fuzz` does at length."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.outcome import Outcome, judged, kept
from tests.fuzz.running import Wish

REPORT = {
    "complete": True, "exit_code": 0, "running_time": 1.0, "failures": [], "errors": [],
    "operations": {"tested": 1}, "test_cases": {"generated": 7},
}  # fmt: skip


@pytest.mark.timeout(180)
def test_no_case_of_openapi_is_a_5xx_or_unlike_its_document() -> None:
    outcome = fuzz(Wish(5, "examples,fuzzing", 1))
    assert not outcome.findings, outcome
    assert outcome.cases > 5 * outcome.asked / 2


def test_what_was_found_is_asked_again_and_what_was_not_is_kept(tmp_path: Path) -> None:
    clean = judged("GET /a/{b}", REPORT, "")
    found = judged("POST /a", {**REPORT, "exit_code": 1, "errors": [{"kind": "Network Error"}]}, "")
    for outcome in (clean, found):
        outcome.keep(tmp_path)
    assert (kept(tmp_path, clean.name), kept(tmp_path, found.name)) == (clean, None)
    assert clean == Outcome("GET /a/{b}", 1, 7, 1.0, ())


@pytest.mark.parametrize("how", [{"complete": False}, {"exit_code": 2}, {"operations": None}])
def test_a_run_that_was_not_whole_proves_nothing(how: dict[str, object]) -> None:
    [finding] = judged("POST /a", {**REPORT, **how}, "out of memory").findings
    assert "out of memory" in finding
