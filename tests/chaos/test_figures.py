"""What the harness makes of its measurements."""

from pathlib import Path

import pytest

from tests.chaos import page, soak, stops, witness
from tests.chaos.harness import Report
from tests.chaos.plan import full, short


def test_a_slope_is_per_minute() -> None:
    assert soak.slope([(0, 100), (30, 101), (60, 102)]) == pytest.approx(2.0)
    assert soak.slope([(0, 100)]) == 0.0


def test_only_what_never_comes_back_down_grows() -> None:
    rising = [(float(n), 10.0 + n) for n in range(9)]
    peak = [(0.0, 10.0), (1.0, 90.0), (2.0, 10.0), (3.0, 80.0), (4.0, 11.0), (5.0, 85.0)]
    once_more = [(float(n), 10.0 + (n > 3)) for n in range(9)]
    assert soak.grows(rising)
    assert not soak.grows(once_more)
    assert not soak.grows(peak)


def test_the_longest_silence_counts_its_ends() -> None:
    assert witness.longest_gap([1.0, 2.0, 3.0], 0.0, 9.0) == 6.0
    assert witness.longest_gap([0.5, 4.0, 5.0], 0.0, 5.5) == 3.5


def test_late_stops_are_named() -> None:
    assert stops.Times([3.0, 31.0], pause=6.0, resume=16.0).late() == [
        "an exit took 31.0 s", "a rolling restart paused the results for 6.0 s", "a kill delayed requests by 16.0 s",
    ]  # fmt: skip
    assert stops.Times([30.0], pause=5.0, resume=15.0).late() == []


def test_figures_replace_what_stood_between_their_marks(tmp_path: Path) -> None:
    there = tmp_path / "page.md"
    there.write_text("before\n<!-- chaos-full -->\nold\n<!-- /chaos-full -->\nafter\n")
    first = page.Column.of(Report(full(4), {"lost": 0}))
    page.kept([first], tmp_path / "kept")
    second = page.Column.of(Report(full(5), {"lost": 3}, ["3 lost"]))
    page.write("chaos-full", page.kept([second], tmp_path / "kept"), there)
    text = there.read_text()
    assert "old" not in text
    assert "|  | seed 4 | seed 5 |" in text
    assert "| held | yes | **no** |" in text
    assert "| lost | 0 | 3 |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")


def test_a_page_without_the_marks_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("nothing")
    with pytest.raises(ValueError, match="chaos-short"):
        page.write("chaos-short", [page.Column.of(Report(short(1)))], tmp_path / "page.md")
