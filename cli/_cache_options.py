"""The options of `cache`. Light, so that `--help` is quick."""

from dataclasses import dataclass
from typing import Annotated

import typer


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
