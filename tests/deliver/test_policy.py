"""How long a sink waits before it tries again."""

from hypothesis import given
from hypothesis import strategies as st

from agents.deliver.policy import Policy

POLICY = Policy("any", first_wait_s=0.2, longest_wait_s=30.0)
CHANCE = st.floats(0, 1, exclude_max=True)


def test_waits_grow_to_the_longest() -> None:
    assert [POLICY.wait(n, None, 1.0) for n in (1, 2, 3, 8, 9, 1_000_000)] == [0.2, 0.4, 0.8, 25.6, 30.0, 30.0]


@given(st.integers(1, 100), CHANCE)
def test_half_of_a_wait_is_certain(failures: int, chance: float) -> None:
    assert POLICY.wait(failures, None, 1.0) / 2 <= POLICY.wait(failures, None, chance) <= 30.0


@given(st.integers(1, 100), st.floats(0, 3600), CHANCE)
def test_never_earlier_than_the_other_side_asked_for(failures: int, retry_after: float, chance: float) -> None:
    assert POLICY.wait(failures, retry_after, chance) >= retry_after
