"""The options of `cache`. Light, so that `--help` is quick."""

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class Warming:
    """What to warm the cache with, beside a file."""

    top: Annotated[int, typer.Option(min=0, max=100_000, help="The N questions that were asked most.")] = 0
    since: Annotated[str, typer.Option(metavar="SPAN", help="Asked since then: 24h, 7d; whole days (UTC).")] = "7d"
    template: Annotated[str | None, typer.Option(metavar="NAME", help="Only with this template.")] = None
    tenant: Annotated[str | None, typer.Option(help="Whose; of an embedded stack demo.")] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count; send and store nothing.")] = False


@dataclass(frozen=True)
class What:
    """Which answers; each option names some, and all of them are forgotten."""

    all: Annotated[bool, typer.Option("--all", help="Everything of the tenant.")] = False
    key: Annotated[str | None, typer.Option(metavar="HEX", help="The 64 hex digits of a cache key.")] = None
    template: Annotated[str | None, typer.Option(metavar="NAME[@VERSION]")] = None
    output_schema: Annotated[
        str | None, typer.Option("--schema", metavar="NAME|FILE", help="NAME[@VERSION], or a file with a JSON Schema.")
    ] = None
    model: Annotated[str | None, typer.Option(help="An alias or provider/model.")] = None
    tag: Annotated[str | None, typer.Option(metavar="NAME[=VALUE]")] = None
