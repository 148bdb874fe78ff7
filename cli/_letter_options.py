"""The options of `dead-letters`. Light, so that `--help` is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True)
class Choice:
    """Which letters."""

    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None
    reason: Annotated[str | None, typer.Option(metavar="CODE", help="Only with this code, e.g. unreadable.")] = None
    request: Annotated[str | None, typer.Option(metavar="ID", help="Only of this request.")] = None
    source: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this source's records.")] = None
    since: Annotated[str | None, typer.Option(help="How far back: 30m, 24h, 7d, or an RFC 3339 time.")] = None
    until: Annotated[str | None, typer.Option(help="The same; excluded.")] = None


@dataclass(frozen=True)
class Edits:
    """What to change on the way."""

    model: Annotated[str | None, typer.Option(help="Another model: an alias or provider/model.")] = None
    template: Annotated[
        str | None, typer.Option(metavar="NAME[@VERSION]", help="Another template, with the request's variables.")
    ] = None
    schema: Annotated[
        Path | None, typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Another JSON Schema.")
    ] = None


@dataclass(frozen=True)
class Pace:
    """How much, how fast, or not at all."""

    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and price them; start nothing.")] = False
    rate: Annotated[float, typer.Option(min=0.001, max=1_000, help="How many are started a second.")] = 10.0
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 10_000
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
