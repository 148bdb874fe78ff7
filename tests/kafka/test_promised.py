"""What is held back for a batch that was begun before. Pure."""

from datetime import UTC, datetime

from connectors.kafka.promised import Promised
from domain.ports import Item

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HERE, THERE = ("things", 0), ("things", 1)


def items(partition, offsets):
    return [Item("things", partition, offset, NOON, None, b"x") for offset in offsets]


def offsets(items):
    return [(item.partition, item.offset) for item in items]


def test_without_a_promise_everything_passes_as_it_is():
    promised, given = Promised(), items(0, range(3))
    assert promised.sift(given) is given
    assert promised.taken() == []


def test_nothing_passes_until_it_is_known_what_was_promised():
    promised = Promised()
    promised.expect([HERE])
    assert offsets(promised.sift(items(0, [5]) + items(1, [7]))) == [(1, 7)]
    assert promised.unknown == [HERE]
    assert offsets(promised.learn(HERE, 0)) == [(0, 5)]
    assert promised.unknown == []
    assert offsets(promised.sift(items(0, [6]))) == [(0, 6)]


def test_a_promised_batch_passes_whole_and_alone():
    promised = Promised()
    promised.expect([HERE])
    assert promised.learn(HERE, 8) == []
    assert promised.sift(items(0, [5, 6])) == []
    assert offsets(promised.sift(items(0, [7, 8, 9]) + items(1, [1]))) == [(1, 1), (0, 5), (0, 6), (0, 7)]
    assert promised.sift(items(0, [10])) == []
    assert offsets(promised.taken()) == [(0, 8), (0, 9), (0, 10)]
    assert offsets(promised.sift(items(0, [11]))) == [(0, 11)]


def test_a_gap_at_the_end_of_a_promised_batch_is_no_reason_to_wait():
    promised = Promised()
    promised.expect([HERE])
    promised.learn(HERE, 8)
    assert offsets(promised.sift(items(0, [5, 9]))) == [(0, 5)]
    assert offsets(promised.taken()) == [(0, 9)]


def test_a_promised_batch_that_is_no_longer_kept_is_not_waited_for():
    promised = Promised()
    promised.expect([HERE])
    promised.learn(HERE, 8)
    assert offsets(promised.sift(items(0, [20, 21]))) == [(0, 20), (0, 21)]
    assert offsets(promised.sift(items(0, [22]))) == [(0, 22)]


def test_a_partition_that_left_holds_nothing():
    promised = Promised()
    promised.expect([HERE, THERE])
    promised.sift(items(0, [5]) + items(1, [5]))
    promised.forget([HERE])
    assert promised.learn(HERE, 0) == []
    assert offsets(promised.learn(THERE, 0)) == [(1, 5)]
