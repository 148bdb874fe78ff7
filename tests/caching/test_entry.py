"""How long an answer is good for, and who asks anew before its end."""

import pytest

from domain.caching.entry import Entry, lifetime, read, remembered
from domain.ledger.model import State
from domain.ledger.results import Ending

ENTRY = Entry({"a": 1}, "openai", "gpt", at=1_000.0, ttl=100.0, took=2.0, cost_usd="0.5")


def test_what_is_remembered_is_read_again() -> None:
    ending = Ending(State.COMPLETED, {"a": 1}, provider="openai", model="gpt")
    assert read(remembered(ending, 1_000.0, 100, 2.0, "0.5")) == ENTRY


def test_an_entry_of_an_earlier_version_is_read_and_ends_with_its_key() -> None:
    entry = read(b'{"output":"x","model":"m","provider":"p"}')
    assert (entry.output, entry.cost_usd, entry.verdict(1e12, 0.0001)) == ("x", "0", "fresh")


@pytest.mark.parametrize(
    ("now", "draw", "verdict"),
    [
        (1_000, 1e-9, "fresh"),
        (1_099, 1.0, "fresh"),
        (1_099, 0.5, "early"),
        (1_090, 0.5, "fresh"),
        (1_100, 1.0, "expired"),
    ],
)
def test_shortly_before_the_end_some_ask_anew(now: float, draw: float, verdict: str) -> None:
    assert ENTRY.verdict(now, draw) == verdict


def test_the_longer_an_answer_takes_the_earlier_it_is_asked_for() -> None:
    slow, quick = (Entry("", "", "", 0.0, 100.0, took) for took in (10.0, 0.1))
    assert (slow.verdict(95, 0.5), quick.verdict(95, 0.5)) == ("early", "fresh")


def test_of_a_thousand_requests_a_second_one_asks_anew_before_the_end() -> None:
    """The chance of one at `left` seconds before the end is exp(-left / took)."""
    draws = [(number + 0.5) / 1_000 for number in range(1_000)]
    early = [sum(ENTRY.verdict(1_100 - left, draw) == "early" for draw in draws) for left in (20, 10, 5, 1)]
    assert early == sorted(early)
    assert early[0] <= 1 <= early[2]


@pytest.mark.parametrize(
    ("others", "seconds"), [((), 60), ((None, None), 60), ((10, None), 10), ((90, 30), 30), ((None, 0), 0)]
)
def test_the_shortest_of_template_and_tenant_counts(others: tuple[int | None, ...], seconds: int) -> None:
    assert lifetime(60, *others) == seconds
