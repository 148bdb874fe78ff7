"""Writes figures into docs/guarantees.md, between `<!-- NAME -->` and `<!-- /NAME -->`.

Runs that were made one by one share a table when their columns were kept in the same file, one JSON line each.
"""

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.chaos.harness import Report

PAGE: Final = Path(__file__).parents[2] / "docs" / "guarantees.md"


@dataclass(frozen=True, slots=True)
class Column:
    """One run in the table."""

    title: str
    held: bool
    figures: Mapping[str, int | float]

    @classmethod
    def of(cls, report: Report) -> "Column":
        title = f"seed {report.plan.seed}" if report.plan.faults else report.plan.form
        return cls(title, report.held, report.figures)


def kept(columns: Sequence[Column], file: Path) -> list[Column]:
    """All columns that were ever kept in `file`, these included; the last of a title counts."""
    with file.open("a") as lines:
        lines.writelines(json.dumps(asdict(column)) + "\n" for column in columns)
    found = [Column(**json.loads(line)) for line in file.read_text().splitlines()]
    return list({column.title: column for column in found}.values())


def table(columns: Sequence[Column]) -> str:
    """One row a figure, one column a run; a figure that a run has not stays empty."""
    names = list(dict.fromkeys(name for column in columns for name in column.figures))
    titles = ["", *(column.title for column in columns)]
    rows = [titles, ["---"] * len(titles), ["held", *("yes" if column.held else "**no**" for column in columns)]]
    rows += [[name, *(_shown(column.figures, name) for column in columns)] for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _shown(figures: Mapping[str, int | float], name: str) -> str:
    return f"{figures[name]:,}" if name in figures else ""


def machine() -> str:
    """When and where, so that a reader can judge the times."""
    load = os.getloadavg()[0]
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.system()}, load {load:.0f} at the end."


def write(name: str, columns: Sequence[Column], page: Path = PAGE) -> None:
    """Replace the part of the page called `name`. Raises ValueError when it has none."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = page.read_text(encoding="utf-8")
    block = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not block.search(old):
        raise ValueError(f"{page} has no part {begin} … {end}: add it where the figures belong")
    text = f"{begin}\n{machine()}\n\n{table(columns)}\n{end}"
    page.write_text(block.sub(lambda _: text, old, count=1), encoding="utf-8")
