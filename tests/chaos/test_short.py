"""The short form of the harness: two seeds, orderly stops, and the negative controls that must not pass.

`make chaos SEED=…` reproduces a seed; the full form is `make chaos-full`.
"""

from pathlib import Path

import pytest

from tests.chaos import harness, stops
from tests.chaos.plan import control, short
from tests.chaos.running import Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
SEEDS = (1, 2)
CONTROLS = {
    "plain": ("2,2,1", " lost: "),
    "forgetful": ("2,2,1", " called without a row: "),
    "leaseless": ("2,2,1", " calls repeated, 0 were in flight at the kills"),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_killed_nothing_is_lost_doubled_or_paid_for_twice(stack: Running, seed: int) -> None:
    report = harness.run(stack, short(seed))
    assert report.held, str(report)


def test_S4_orderly_stops_under_load_lose_nothing_and_repeat_no_call(stack: Running) -> None:
    report = stops.orderly(stack, 5)
    assert report.held, str(report)
    assert report.figures["calls repeated"] == 0


def test_the_product_passes_the_plan_that_broken_wirings_do_not(stack: Running) -> None:
    report = harness.run(stack, control(1))
    assert report.held, str(report)


@pytest.mark.parametrize("variant", CONTROLS)
def test_the_oracle_does_not_pass_a_broken_wiring(variant: str, tmp_path: Path) -> None:
    workers, said = CONTROLS[variant]
    with Running(tmp_path, workers, apis=1, variant=variant) as stack:
        report = harness.run(stack, control(1))
    assert any(said in violation for violation in report.violations), str(report)
