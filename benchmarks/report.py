"""Figures, how they are shown, and how they get into docs/benchmarks.md."""

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing: a value a run, those of the baseline in the same runs, and the goal as the reader sees it."""

    what: str
    values: Sequence[float]
    baseline: Sequence[float] = ()
    goal: str = ""
    digits: int = 0

    def cells(self) -> tuple[str, ...]:
        """What, goal, median, spread, the baseline's median, the ratio of the medians."""
        middle = statistics.median(self.values)
        spread = f"{self._shown(min(self.values))} – {self._shown(max(self.values))}"
        if not self.baseline:
            return self.what, self.goal, self._shown(middle), spread, "", ""
        other = statistics.median(self.baseline)
        ratio = f"{middle / other:.2f}" if other else ""
        return self.what, self.goal, self._shown(middle), spread, self._shown(other), ratio

    def _shown(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"


HEAD = ("", "goal", "median", "least – most", "beside it", "ratio")


def table(figures: Sequence[Figure]) -> str:
    """A table for the page and for the terminal."""
    rows = [HEAD, tuple("---" for _ in HEAD), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write(name: str, text: str, page: Path = PAGE) -> None:
    """Replace what stands between the page's markers `<!-- name -->` and `<!-- /name -->`. Raises ValueError."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = page.read_text(encoding="utf-8")
    block = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not block.search(old):
        raise ValueError(f"{page} has no part {begin} … {end}: add it where the figures belong")
    page.write_text(block.sub(lambda _: f"{begin}\n{text}\n{end}", old, count=1), encoding="utf-8")
