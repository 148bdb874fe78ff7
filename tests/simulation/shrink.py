"""The least plan that still fails: first without what it does not need, then by hypothesis, with the least numbers."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from random import Random

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from tests.simulation.plan import Ask, Fault, Plan, smaller

Fails = Callable[[Plan], bool]
OTHER_ORDERS = 20  # seeds tried for each plan that leaves something out: the same seed orders what is left anew
TRIALS = 1_500


def smallest(plan: Plan, fails: Fails) -> Plan:
    """`plan` fails; so does what is given back."""
    return _by_hypothesis(_without_the_needless(plan, fails), fails)


def _without_the_needless(plan: Plan, fails: Fails) -> Plan:
    tried = smaller(plan)
    while tried:
        candidate = tried.pop(0)
        orders = [candidate.seed, *range(OTHER_ORDERS)]
        seed = next((seed for seed in orders if fails(replace(candidate, seed=seed))), None)
        if seed is not None:
            plan = replace(candidate, seed=seed)
            tried = smaller(plan)
    return plan


def _by_hypothesis(plan: Plan, fails: Fails) -> Plan:
    """The same requests and faults with the least seed, the earliest places and round seconds."""
    bounds = settings(
        max_examples=TRIALS,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    try:
        return find(_like(plan), fails, settings=bounds, random=Random(plan.seed))
    except NoSuchExample:
        return plan


def _like(plan: Plan) -> st.SearchStrategy[Plan]:
    faults = st.tuples(*(_fault_like(fault) for fault in plan.faults))
    asks = st.tuples(*(_ask_like(ask) for ask in plan.asks))
    seeds = st.integers(0, max(plan.seed, 1_000))
    return st.builds(lambda seed, asks, faults: replace(plan, seed=seed, asks=asks, faults=faults), seeds, asks, faults)


def _ask_like(ask: Ask) -> st.SearchStrategy[Ask]:
    seconds, steps = st.integers(0, ceil(ask.seconds)).map(float), st.integers(0, ask.at)
    return st.builds(lambda seconds, at: replace(ask, seconds=seconds, at=at), seconds, steps)


def _fault_like(fault: Fault) -> st.SearchStrategy[Fault]:
    seconds, skips = st.integers(0, ceil(fault.seconds)).map(float), st.integers(0, fault.skip)
    return st.builds(lambda seconds, skip: replace(fault, seconds=seconds, skip=skip), seconds, skips)
