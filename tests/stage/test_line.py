"""What is acknowledged when deliveries finish in any order."""

import random

from hypothesis import given
from hypothesis import strategies as st

from agents.line import MAX_BYTES, MAX_EVENTS, MAX_WAITING, Delivery, Lines


def delivery(offset: int, generation: int = 1, partition: int = 0, value: bytes = b"x") -> Delivery:
    return Delivery(("t", partition), "t", partition, offset, generation, None, value, (), 0.0)


def admitted(lines: Lines, *deliveries: Delivery) -> list[Delivery]:
    for one in deliveries:
        lines.add(one)
    return list(deliveries)


def test_S2_nothing_is_acknowledged_before_everything_in_front_of_it_is_finished() -> None:
    lines = Lines()
    first, second, third = admitted(lines, delivery(10), delivery(11), delivery(12))
    lines.finish(third)
    lines.finish(second)
    assert lines.head(("t", 0)) is None
    lines.finish(first)
    assert lines.head(("t", 0)) == 13


@given(st.integers(1, 60), st.integers(0, 2**32))
def test_S2_the_head_is_always_the_first_unfinished_offset(count: int, seed: int) -> None:
    lines = Lines()
    waiting = admitted(lines, *(delivery(offset) for offset in range(count)))
    random.Random(seed).shuffle(waiting)
    unfinished = set(range(count))
    for one in waiting:
        lines.finish(one)
        unfinished.discard(one.offset)
        first = min(unfinished, default=count)
        assert lines.head(("t", 0)) == (first or None)


def test_S2_a_delivery_of_an_assignment_that_ended_acknowledges_nothing_of_the_next() -> None:
    lines = Lines()
    (old,) = admitted(lines, delivery(5, generation=1))
    lines.revoke([("t", 0)])
    (new,) = admitted(lines, delivery(5, generation=2))
    lines.finish(old)
    assert lines.head(("t", 0)) is None
    lines.finish(new)
    assert lines.head(("t", 0)) == 6


def test_S2_a_partition_that_rewinds_without_a_new_assignment_starts_a_new_line() -> None:
    lines = Lines()
    five, six = admitted(lines, delivery(5), delivery(6))
    (again,) = admitted(lines, delivery(5))
    lines.finish(five)
    lines.finish(six)
    assert lines.owns(again)
    lines.finish(again)
    assert lines.head(("t", 0)) == 6


def test_S2_partitions_do_not_wait_for_each_other() -> None:
    lines = Lines()
    admitted(lines, delivery(0, partition=0))
    (other,) = admitted(lines, delivery(0, partition=1))
    lines.finish(other)
    assert (lines.head(("t", 0)), lines.head(("t", 1))) == (None, 1)


def test_S3_a_partition_is_held_at_its_cap_of_events_and_resumes_half_empty() -> None:
    lines, held, begun = Lines(), [], []
    for offset in range(MAX_EVENTS):
        held.append(lines.fetched(("t", 0), 1))
        begun += admitted(lines, delivery(offset))
        assert not lines.began(begun[-1])
    assert held == [False] * (MAX_EVENTS - 1) + [True]
    resumed = [one.offset for one in begun if lines.finish(one)]
    assert resumed == [MAX_EVENTS // 2 - 1]


def test_S3_a_partition_is_held_while_too_many_of_its_records_wait_to_begin() -> None:
    lines = Lines()
    held = [lines.fetched(("t", 0), 1) for _ in range(MAX_WAITING)]
    assert held == [False] * (MAX_WAITING - 1) + [True]
    waiting = admitted(lines, *(delivery(offset) for offset in range(MAX_WAITING)))
    resumed = [one.offset for one in waiting if lines.began(one)]
    assert resumed == [MAX_WAITING // 2 - 1]


def test_S3_a_partition_is_held_at_its_cap_of_bytes() -> None:
    lines = Lines()
    assert [lines.fetched(("t", 0), MAX_BYTES // 4) for _ in range(4)] == [False, False, False, True]
