"""When schedules run, and what each run exports; the clock is an argument."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from domain.errors import InvalidRequest
from domain.exports.job import Order
from domain.exports.schedule import LONGEST_WAIT, SETTLE, Schedule, arrived, check, following, run
from domain.sinks.model import Heard, Orders, Report, SinkView


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def nightly(zone: str = "Europe/Berlin", cron: str = "30 2 * * *", created: str = "2026-03-27T12:00") -> Schedule:
    now = at(created)
    return Schedule("acme", "nightly", cron, zone, Order("csv", now, now), now, now, check(cron, zone, now))


def test_a_time_is_that_of_its_zone_also_where_the_clock_is_moved() -> None:
    one = nightly()
    found = [one.next_at]
    for _ in range(3):
        found.append(following(one, found[-1]))
    # half past two is skipped on the 29th: the run comes when the gap is over
    assert found == [at("2026-03-28T01:30"), at("2026-03-29T01:00"), at("2026-03-30T00:30"), at("2026-03-31T00:30")]
    autumn = nightly(created="2026-10-24T12:00")
    assert [autumn.next_at, following(autumn, autumn.next_at)] == [at("2026-10-25T00:30"), at("2026-10-26T01:30")]


def test_each_run_begins_where_the_one_before_ended() -> None:
    one, spans = nightly(), []
    for day in range(4):
        job, one = run(one, f"exp_{day}", one.next_at + SETTLE)
        spans.append((job.order.since, job.order.until))
        assert job.schedule == "nightly"
        assert one.last_job == job.id
    assert spans[0][0] == at("2026-03-27T12:00")
    assert all(before[1] == after[0] for before, after in pairwise(spans))


def test_runs_that_were_missed_are_one() -> None:
    job, then = run(nightly(), "exp_1", at("2026-04-05T12:00"))
    assert (job.order.since, job.order.until) == (at("2026-03-27T12:00"), at("2026-04-05T00:30"))
    assert then.next_at == at("2026-04-06T00:30")


def test_a_run_does_not_reach_to_a_time_that_has_only_just_come() -> None:
    """What ended right before may not be in the usage database yet."""
    one = nightly("UTC", "*/10 * * * *", "2026-01-01T00:05")
    job, then = run(one, "exp_1", at("2026-01-01T00:20:30"))
    assert (job.order.until, then.next_at) == (at("2026-01-01T00:10"), at("2026-01-01T00:20"))
    assert run(then, "exp_2", at("2026-01-01T00:21"))[0].order.until == at("2026-01-01T00:20")


UNTIL = at("2026-01-01T03:00")
A_MINUTE = timedelta(minutes=1)


def sink(*told: tuple[timedelta, int, timedelta | None]) -> SinkView:
    """Processes by (when they told, how far behind, the oldest that they hold), counted from the run's time."""
    members = [
        Heard(Report("clickhouse", str(number), "running", lag, oldest_at=None if held is None else UNTIL + held),
              UNTIL + seen)
        for number, (seen, lag, held) in enumerate(told)
    ]  # fmt: skip
    return SinkView("clickhouse", Orders(), tuple(members))


@pytest.mark.parametrize(
    ("told", "goes"),
    [
        ([(A_MINUTE, 0, None)], True),
        ([(A_MINUTE, 9, A_MINUTE / 2)], True),
        ([(A_MINUTE, 9, -A_MINUTE)], False),
        ([(A_MINUTE, 9, None)], False),
        ([(A_MINUTE, 0, None), (A_MINUTE, 9, -A_MINUTE)], False),
        ([(-A_MINUTE, 0, None)], False),
        ([], False),
    ],
    ids=["nothing behind", "only later ones", "one of before", "not read yet", "one of two", "not heard of", "gone"],
)
def test_a_run_waits_while_the_usage_database_is_behind_its_time(told: list[Any], goes: bool) -> None:
    assert arrived(sink(*told), UNTIL, UNTIL + A_MINUTE) is goes


def test_a_run_waits_for_no_sink_that_never_was_and_for_none_for_ever() -> None:
    assert arrived(None, UNTIL, UNTIL + A_MINUTE)
    assert arrived(sink(), UNTIL, UNTIL + LONGEST_WAIT)


@pytest.mark.parametrize(
    ("cron", "zone", "place", "said"),
    [("* * *", "UTC", "/cron", "five fields"), ("0 25 * * *", "UTC", "/cron", "no cron"),
     ("0 3 * * *", "Europe/Berln", "/time_zone", "did you mean 'Europe/Berlin'"),
     ("0 3 30 2 *", "UTC", "/cron", "no cron"), ("*/4 * * * *", "UTC", "/cron", "every five minutes"),
     ("0,1 3 * * *", "UTC", "/cron", "every five minutes"), ("* * * * * *", "UTC", "/cron", "five fields")],
)  # fmt: skip
def test_what_cannot_be_followed_says_why(cron: str, zone: str, place: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as raised:
        check(cron, zone, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=2))
    assert raised.value.problems[0].path == place
