"""Whether one floods a lane in which others come singly."""

from hypothesis import given
from hypothesis import strategies as st

from domain.admission.crowd import FLOOD, Crowd

RECENTLY = 2.0
TENANTS = [b"a", b"b", b"c", b"d"]


def crowd(*seen: tuple[bytes, float]) -> Crowd:
    found = Crowd(RECENTLY)
    for tenant, at in seen:
        found.saw(tenant, at)
    return found


def test_a_flood_beside_one_who_was_here_a_moment_ago_is_one_from_its_ninth_call_on() -> None:
    here = crowd((b"quiet", 0.0), (b"flood", 1.0))
    assert not here.flooded(1.0, holding=0, waiting=16)
    assert here.flooded(1.0, holding=0, waiting=17)
    assert here.flooded(1.0, holding=1, waiting=17)


def test_who_is_alone_floods_nobody() -> None:
    assert not crowd((b"flood", 1.0)).flooded(1.0, holding=0, waiting=2_000)


def test_who_was_here_long_ago_is_not_waited_for() -> None:
    here = crowd((b"quiet", 0.0), (b"flood", 1.9))
    assert here.flooded(1.9, holding=1, waiting=500)
    assert not here.flooded(2.0, holding=1, waiting=500)


def test_where_each_has_something_in_the_queue_nobody_comes_singly() -> None:
    here = crowd(*((b"t%d" % number, 1.0) for number in range(17)))
    assert not here.flooded(1.0, holding=17, waiting=5_000)


def test_a_thousand_with_one_call_each_are_no_flood() -> None:
    here = crowd(*((b"t%d" % number, 1.0) for number in range(1_000)))
    assert not here.flooded(1.0, holding=200, waiting=380)


@given(
    st.lists(st.tuples(st.sampled_from(TENANTS), st.floats(0, 5))), st.floats(0, 5), st.integers(0, 4), st.integers(0)
)
def test_it_is_a_flood_exactly_when_some_of_those_lately_seen_have_nothing_and_eight_times_as_many_calls_wait(
    steps: list[tuple[bytes, float]], later: float, holding: int, waiting: int
) -> None:
    now, last, here = 0.0, {}, Crowd(RECENTLY)
    for tenant, after in steps:
        now += after
        last[tenant] = now
        here.saw(tenant, now)
    now += later
    lately = sum(at > now - RECENTLY for at in last.values())
    expected = lately > 1 and lately > holding and waiting > FLOOD * lately
    assert here.flooded(now, holding, waiting) == expected
