"""The ledger's and the stage's rules over thousands of seeded schedules, and over plans that hypothesis invents."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.controls import CONTROLS
from tests.simulation.line import silence
from tests.simulation.plan import ANSWERS, KINDS, LATER, LIMITS, PLACES, Ask, Fault, Plan, plan
from tests.simulation.runner import run, run_seeds

SECONDS = st.floats(0, 60)
ASKS = st.builds(Ask, st.sampled_from(sorted(set(LATER))), st.integers(0, 30), st.integers(0, 2), SECONDS)
FAULTS = st.builds(
    Fault, st.sampled_from(sorted(set(KINDS))), st.sampled_from(sorted(set(PLACES))), st.integers(0, 3), SECONDS
)
PLANS = st.builds(
    Plan,
    st.integers(0, 1_000),
    st.lists(ASKS, min_size=1, max_size=3).map(tuple),
    st.lists(FAULTS, max_size=6).map(tuple),
    st.lists(st.sampled_from(sorted(set(ANSWERS))), max_size=4).map(tuple),
    st.integers(1, 2),
    st.integers(1, 3),
    st.just(600_000),
    st.sampled_from((None, *LIMITS)),
    st.booleans(),
)


def test_L2_L6_L8_L9_L11_L12_L14_L15_S2_S5_hold_in_every_schedule() -> None:
    report = run_seeds(range(800))
    assert report.failure is None, report.failure.explained()
    assert report.schedules == 800


def test_the_faults_strike_often_enough_to_prove_something() -> None:
    report = run_seeds(range(300))
    assert set(report.struck) == set(KINDS)
    assert report.different > 290


def test_a_seed_is_always_the_same_schedule() -> None:
    with silence():
        for seed in range(40):
            assert run(plan(seed))[0].world.story() == run(plan(seed))[0].world.story()


@pytest.mark.parametrize("without", sorted(set(CONTROLS) - {"epochs of calls unread"}))
def test_a_line_without_a_safeguard_fails(without: str) -> None:
    report = run_seeds(range(1_500), CONTROLS[without])
    assert report.failure is not None


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(PLANS)
def test_L2_L6_L8_L9_L11_L12_L15_S2_S5_hold_under_any_plan(plan: Plan) -> None:
    with silence():
        simulation, error = run(plan)
    assert error is None, f"{error}\n{plan!r}\n{simulation.world.story()}"


# what was found, each as the smallest plan that showed it, in the order of its seed and in others: what a seed draws
# changes with the product, and the order that showed the fault comes again among fifty


def found(plan: Plan) -> None:
    struck = 0
    with silence():
        for seed in range(plan.seed, plan.seed + 50):
            simulation, error = run(replace(plan, seed=seed))
            assert error is None, f"{error}\n{simulation.world.story()}"
            struck += simulation.world.faults == []
    assert struck > 5, "the faults of this case hardly strike any more: it proves nothing"


def test_L15_a_refused_request_whose_result_was_not_produced_is_found_and_readable() -> None:
    found(Plan(1, (Ask("refused"),), (Fault("kill", "produce", 0, 50.0),), (), 1, 1))


def test_L6_a_worker_that_was_stopped_after_a_take_makes_no_call_for_what_another_finished() -> None:
    found(Plan(585, (Ask("plain"),), (Fault("pause", "take", 1, 38.6),), ("timeout",), 2, 2))


def test_L2_intake_does_not_reject_what_was_called_for_when_its_record_comes_again() -> None:
    found(Plan(349, (Ask("deadline"),), (Fault("kill", "any", 3, 0.0),), ("limited",), 1, 1))


def test_L9_intake_parks_nothing_that_a_worker_has_called_for_without_being_heard_of() -> None:
    faults = (
        Fault("outage", "call", 0, 33.9),
        Fault("pause", "produce", 0, 14.9),
        Fault("rebalance", "stray", 0, 22.2),
    )
    found(Plan(19, (Ask("fail", 0, 0, 2.0),), faults, ("timeout",), 1, 1, 6))


def test_L15_a_take_that_was_given_up_and_is_done_after_all_leaves_no_request_behind() -> None:
    found(Plan(176, (Ask("plain"),), (Fault("late", "take", 0, 7.5),), ("refused_connection",), 1, 2))


def test_L15_a_take_that_is_done_after_its_worker_asked_again_and_was_told_of_another_holds_nothing() -> None:
    """Seldom drawn: the worker that holds it dies between the two. One schedule in eight goes that way."""
    faults = (Fault("kill after", "call", 0, 2.1), Fault("late", "take", 1, 13.4))
    plans = [Plan(seed, (Ask("plain"),), faults, (), 1, 3) for seed in range(150)]
    with silence():
        assert [run(plan)[1] for plan in plans] == [None] * 150
        assert any(run(plan, CONTROLS["epochs of calls unread"])[1] for plan in plans)


def test_L9_intake_that_parks_late_does_not_make_an_unknown_outcome_known() -> None:
    faults = (Fault("pause after", "claim", 0, 33.0), Fault("away", "call", 0, 24.0))
    found(Plan(0, (Ask("fail"),), faults, ("error",), 2, 1, per_minute=6))
