"""`audit list`: who changed what may be done, or where things go."""

from typing import Annotated

import typer

from cli._audit_options import AuditOptions
from cli._options import expanded
from cli._stack import Stack


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Who changed what.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(expanded(listing))
    app.add_typer(group, name="audit")


def listing(
    stack: Stack,
    which: AuditOptions,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts, with what was before and after.")] = False,
) -> None:
    """Changes of keys, limits, budgets, destinations, exports, schemas, sinks and sources, the newest first."""
    from cli import _audit

    _audit.listing(stack, which, as_json)
