"""What is read ahead of the sink: bounded, dropped where a partition left, committed by nobody too early."""

import math
from datetime import UTC, datetime

from connectors.kafka.ahead import Bounds, ReadAhead
from domain.ports import Item

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def items(partition, offsets, size=10):
    return [Item("things", partition, offset, NOON, None, b"x" * size) for offset in offsets]


def test_it_is_full_at_its_rows_and_far_enough_at_half_of_them():
    ahead = ReadAhead(Bounds(rows=4))
    ahead.add(items(0, [0]), now=1.0)
    assert (ahead.far_enough, ahead.full, ahead.room) == (False, False, 3)
    ahead.add(items(0, [1]), now=2.0)
    assert (ahead.far_enough, ahead.full) == (True, False)
    ahead.add(items(0, [2, 3]), now=3.0)
    assert ahead.full


def test_less_is_read_ahead_where_less_is_asked_for():
    ahead = ReadAhead(Bounds(rows=100, ahead=0.1))
    ahead.add(items(0, range(9)), now=1.0)
    assert not ahead.far_enough
    ahead.add(items(0, [9]), now=1.0)
    assert (ahead.far_enough, ahead.full) == (True, False)


def test_it_is_full_at_its_bytes():
    ahead = ReadAhead(Bounds(size=100))
    ahead.add(items(0, range(5)), now=1.0)
    assert (ahead.far_enough, ahead.full) == (True, False)
    ahead.add(items(0, range(5, 10)), now=1.0)
    assert ahead.full
    ahead.take()
    assert not ahead.far_enough


def test_large_records_are_read_few_at_a_time_so_that_a_batch_stays_within_its_bytes():
    ahead = ReadAhead(Bounds(size=8 * 1024 * 1024))
    assert ahead.room == 16
    ahead.add(items(0, range(4), size=1024 * 1024), now=1.0)
    assert ahead.room == 4
    ahead.add(items(0, [4], size=10), now=1.0)
    assert ahead.room > 100
    ahead.add(items(0, range(5, 9), size=1024 * 1024), now=1.0)
    assert (ahead.full, ahead.room) == (True, 1)


def test_it_is_due_some_seconds_after_its_first_record():
    ahead = ReadAhead(Bounds(seconds=2.0))
    ahead.add([], now=1.0)
    assert ahead.due == math.inf
    ahead.add(items(0, [0]), now=5.0)
    ahead.add(items(0, [1]), now=6.0)
    assert ahead.due == 7.0
    ahead.take()
    assert ahead.due == math.inf


def test_a_partition_that_left_is_dropped_from_what_was_read_ahead():
    ahead = ReadAhead(Bounds(size=100, seconds=1.0))
    ahead.add(items(0, range(5)) + items(1, range(5)), now=1.0)
    ahead.revoke({("things", 0)})
    assert not ahead.full
    assert ahead.take() == items(1, range(5))
    ahead.add(items(1, [5]), now=2.0)
    ahead.revoke({("things", 1)})
    assert ahead.due == math.inf
    assert ahead.take() == []


def test_a_batch_commits_after_its_last_offsets_less_the_partitions_that_left_while_it_was_written():
    ahead = ReadAhead(Bounds())
    ahead.add(items(0, [3, 4]) + items(1, [7]), now=1.0)
    batch = ahead.take()
    assert ahead.ends(batch) == {("things", 0): 5, ("things", 1): 8}
    ahead.revoke({("things", 0)})
    assert ahead.ends(batch) == {("things", 1): 8}


def test_a_partition_that_came_back_is_committed_by_the_batch_that_read_it_again_and_no_other():
    ahead = ReadAhead(Bounds())
    ahead.add(items(0, [3, 4]), now=1.0)
    before = ahead.take()
    ahead.revoke({("things", 0)})
    ahead.add(items(0, [3, 4]), now=2.0)
    assert ahead.ends(before) == {}
    again = ahead.take()
    assert ahead.ends(again) == {("things", 0): 5}


def test_what_was_not_handed_out_is_known_by_its_first_offsets():
    ahead = ReadAhead(Bounds())
    ahead.add(items(0, [3, 4]) + items(1, [7]) + items(0, [5]), now=1.0)
    assert ahead.starts() == {("things", 0): 3, ("things", 1): 7}


def test_two_batches_are_in_hand_and_each_commits_what_it_is_of():
    ahead = ReadAhead(Bounds())
    ahead.add(items(0, [3, 4]) + items(1, [7]), now=1.0)
    first = ahead.take()
    ahead.add(items(0, [5]) + items(2, [1]), now=2.0)
    second = ahead.take()
    assert ahead.unfinished() == {("things", 0): 3, ("things", 1): 7, ("things", 2): 1}
    ahead.revoke({("things", 0)})
    assert ahead.unfinished() == {("things", 1): 7, ("things", 2): 1}
    assert ahead.finish(first) == {("things", 1): 8}
    assert ahead.unfinished() == {("things", 2): 1}
    assert ahead.finish(second) == {("things", 2): 2}
    assert ahead.finish(second) == {}, "a commit that is asked for again finishes nothing twice"


def test_what_was_read_of_a_partition_that_came_back_stays_when_another_leaves():
    ahead = ReadAhead(Bounds())
    ahead.add(items(0, [3]) + items(1, [7]), now=1.0)
    ahead.revoke({("things", 0)})
    ahead.add(items(0, [3, 4]), now=2.0)
    ahead.revoke({("things", 1)})
    assert ahead.take() == items(0, [3, 4])
