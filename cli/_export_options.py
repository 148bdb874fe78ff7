"""Options of exports that belong together."""

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class What:
    """Which results, which of their fields, in which format."""

    format: Annotated[str, typer.Option(help="jsonl, json, csv or parquet.")] = "jsonl"
    template: Annotated[str | None, typer.Option(help="Only of this template.")] = None
    status: Annotated[str | None, typer.Option(help="Only completed, failed or rejected.")] = None
    fields: Annotated[str | None, typer.Option(help="Separated by commas; all without it.")] = None


@dataclass(frozen=True)
class Timing:
    """When a schedule runs."""

    cron: Annotated[str, typer.Option(help="Minute, hour, day, month and day of the week: '0 3 * * *'.")]
    zone: Annotated[str, typer.Option("--time-zone", help="As Europe/Berlin.")] = "UTC"
    since: Annotated[str | None, typer.Option(help="The first run reaches back so far; without it: to now.")] = None
