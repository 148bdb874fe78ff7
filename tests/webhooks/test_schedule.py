"""What an answer means, and when a delivery comes again."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from domain.webhooks.model import Due, Endpoint, Key, Mark
from domain.webhooks.schedule import JITTER, WAITS, Heard, dropped, mark, settle

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = Key("acme", "wh_1", "msg_1", date(2026, 1, 1))


def due(tried: int = 0, **known: datetime) -> Due:
    target = replace(Endpoint("acme", "wh_1", "https://a.example", (), b"s", NOW), **known)  # type: ignore[arg-type]
    return Due(KEY, "t", b"{}", tried, target.url, target)


def test_attempts_are_at_the_times_of_the_specification() -> None:
    assert [wait.total_seconds() for wait in WAITS] == [
        0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
    ]  # fmt: skip


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_a_success(status: int) -> None:
    settled = settle(due(), Heard(status, 0.5), NOW, "", 0.0)
    assert (settled.attempt.outcome, settled.again, settled.attempt.ms) == ("delivered", None, 500)


@pytest.mark.parametrize("status", [None, 100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 409, 418, 429, 500, 503])
def test_nothing_else_is(status: int | None) -> None:
    settled = settle(due(), Heard(status, 2.0), NOW, "", 0.0)
    assert (settled.attempt.outcome, settled.tried) == ("failed", 1)
    assert settled.again == NOW + timedelta(seconds=7)  # from the end of the attempt


@pytest.mark.parametrize("tried", range(1, 10))
def test_a_wait_is_as_long_as_the_schedule_says_and_a_tenth_more_at_most(tried: int) -> None:
    for chance in (0.0, 0.5, 0.999):
        again = settle(due(tried - 1), Heard(500, 0.0), NOW, "", chance).again
        assert again is not None
        assert WAITS[tried] * (1 + JITTER * chance) == again - NOW < WAITS[tried] * 1.1


def test_after_the_tenth_attempt_there_is_no_other() -> None:
    settled = settle(due(9), Heard(500, 0.0), NOW, "", 0.0)
    assert (settled.attempt.outcome, settled.again, settled.tried) == ("failed", None, 10)


def test_what_must_not_be_called_is_not_tried_again() -> None:
    settled = settle(due(), Heard(None, 0.0, error="is loopback", forbidden=True), NOW, "", 0.0)
    assert (settled.attempt.outcome, settled.attempt.error, settled.again) == ("failed", "is loopback", None)


def test_410_ends_it_and_disables_the_endpoint() -> None:
    settled = settle(due(), Heard(410, 0.0), NOW, "", 0.0)
    assert (settled.attempt.outcome, settled.again) == ("gone", None)
    assert mark(due(), settled) == Mark("acme", "wh_1", NOW, "gone", NOW, 410)


@pytest.mark.parametrize(
    ("status", "said", "seconds"),
    [
        (429, "120", 120), (503, "120", 120), (429, "1", 5), (500, "120", 5), (429, "soon", 5), (429, "-3", 5),
        (429, "99999999999999999", 86_400), (503, "Thu, 01 Jan 2026 00:10:00 GMT", 600),
        (503, "Thu, 01 Jan 2025 00:10:00 GMT", 5), (503, "Thu, 32 Foo 2026 00:00:00 GMT", 5), (429, "²", 5),
    ],
)  # fmt: skip
def test_retry_after_of_429_and_503_is_honoured_up_to_a_day(status: int, said: str, seconds: int) -> None:
    assert settle(due(), Heard(status, 0.0, said), NOW, "", 0.0).again == NOW + timedelta(seconds=seconds)


def test_an_endpoint_that_fails_is_remembered_once_in_ten_seconds_and_disabled_after_five_days() -> None:
    fails, works = Heard(500, 0.0, error="broken"), Heard(204, 0.0)
    assert mark(due(), settle(due(), fails, NOW, "", 0.0)) == Mark("acme", "wh_1", NOW, None, NOW, 500, "broken")
    soon, day4, day5 = NOW + timedelta(seconds=9), NOW + timedelta(days=5, seconds=-1), NOW + timedelta(days=5)
    failing = due(failing_since=NOW, last_error_at=NOW)
    assert mark(failing, settle(failing, fails, soon, "", 0.0)) is None
    assert mark(failing, settle(failing, fails, day4, "", 0.0)) == Mark("acme", "wh_1", NOW, None, day4, 500, "broken")
    lately = due(failing_since=NOW, last_error_at=day4)
    assert mark(lately, settle(lately, fails, day5, "", 0.0)) == Mark(
        "acme", "wh_1", NOW, "failing", day5, 500, "broken"
    )
    assert mark(failing, settle(failing, works, day5, "", 0.0)) == Mark("acme", "wh_1", None, at=day5)
    well = due(last_success_at=NOW)
    assert mark(well, settle(well, works, soon, "", 0.0)) is None
    assert mark(well, settle(well, works, day5, "", 0.0)) == Mark("acme", "wh_1", None, at=day5)


def test_what_is_dropped_says_nothing_of_its_endpoint() -> None:
    settled = dropped(due(), NOW)
    assert (settled.attempt.outcome, settled.again, mark(due(), settled)) == ("dropped", None, None)
