"""Whether one floods a lane in which others come singly."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from domain.admission.crowd import FLOOD, SELDOM, Crowd

RECENTLY = 2.0
TENANTS = [b"a", b"b", b"c", b"d"]


def crowd(*came: tuple[bytes, float, int]) -> Crowd:
    """Of (tenant, at, calls)."""
    found = Crowd(RECENTLY)
    for tenant, at, calls in came:
        for _ in range(calls):
            found.came(tenant, at)
    return found


def test_a_flood_beside_one_who_was_here_a_moment_ago_is_one_from_its_ninth_call_on() -> None:
    here = crowd((b"quiet", 0.0, 1), (b"flood", 1.0, 17))
    assert not here.flooded(1.0, (), waiting=16)
    assert here.flooded(1.0, (), waiting=17)
    assert here.flooded(1.0, [b"flood"], waiting=17)


def test_who_is_alone_floods_nobody() -> None:
    assert not crowd((b"flood", 1.0, 2_000)).flooded(1.0, (), waiting=2_000)


def test_who_was_here_long_ago_is_not_waited_for() -> None:
    here = crowd((b"quiet", 0.0, 1), (b"flood", 1.9, 500))
    assert here.flooded(1.9, [b"flood"], waiting=500)
    assert not here.flooded(2.0, [b"flood"], waiting=500)


def test_where_each_has_something_in_the_queue_nobody_has_to_be_let_through() -> None:
    here = crowd(*((b"t%d" % number, 1.0, 1 if number == 3 else 300) for number in range(17)))
    assert not here.flooded(1.0, [b"t%d" % number for number in range(17)], waiting=5_000)
    assert here.flooded(1.0, [b"t%d" % number for number in range(17) if number != 3], waiting=5_000)


def test_of_many_who_come_in_numbers_one_whose_calls_have_all_begun_does_not_come_singly() -> None:
    here = crowd(*((b"t%d" % number, 1.0, 290 + number) for number in range(17)))
    assert not here.flooded(1.0, [b"t%d" % number for number in range(1, 17)], waiting=5_000)
    assert not here.singly(b"t0")


def test_a_thousand_with_one_call_each_are_no_flood() -> None:
    here = crowd(*((b"t%d" % number, 1.0, 1) for number in range(1_000)))
    assert not here.flooded(1.0, [b"t%d" % number for number in range(200)], waiting=380)
    assert not here.flooded(1.0, [b"t%d" % number for number in range(200)], waiting=20_000)


def test_calls_are_forgotten_after_two_periods() -> None:
    here = crowd((b"a", 0.0, 100), (b"b", 2.0, 10))
    assert here.singly(b"b")
    here.came(b"b", 4.0)
    assert not here.singly(b"b")


@given(
    st.lists(st.tuples(st.sampled_from(TENANTS), st.floats(0, 0.1)), max_size=19),
    st.floats(0, 5),
    st.sets(st.sampled_from(TENANTS)),
    st.integers(0),
)
def test_it_is_a_flood_exactly_when_one_who_comes_seldom_has_nothing_and_eight_times_as_many_calls_wait(
    steps: list[tuple[bytes, float]], later: float, holding: set[bytes], waiting: int
) -> None:
    now, last, here = 0.0, {}, Crowd(RECENTLY)
    for tenant, after in steps:
        now += after
        last[tenant] = now
        here.came(tenant, now)
    now += later
    lately = {tenant for tenant, at in last.items() if at > now - RECENTLY}
    came = Counter(tenant for tenant, _ in steps)
    singly = {tenant for tenant in lately if SELDOM * len(lately) * came[tenant] <= len(steps)}
    enough = len(lately) > max(1, len(holding)) and waiting > FLOOD * len(lately)
    assert here.flooded(now, holding, waiting) == (enough and bool(singly - holding))
