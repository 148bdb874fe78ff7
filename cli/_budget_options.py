"""The options of `budgets`. Light, so that `--help` is quick."""

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class Charged:
    """Whose calls it is for: all of the tenant's, unless said otherwise."""

    tenant: Annotated[str | None, typer.Option(help="Whose; of an embedded stack demo.")] = None
    key: Annotated[str | None, typer.Option(metavar="ID", help="Only of this API key: key_…")] = None
    template: Annotated[str | None, typer.Option(metavar="NAME", help="Only with this template.")] = None
    model: Annotated[
        str | None, typer.Option(help="Only of this model: provider/model, 'provider/*', or an alias.")
    ] = None


@dataclass(frozen=True)
class Terms:
    """How it is meant."""

    period: Annotated[str, typer.Option("--per", help="hour, day or month (UTC).")] = "month"
    replace: Annotated[bool, typer.Option("--replace", help="Change it where it exists; its spending stays.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
