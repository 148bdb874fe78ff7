"""`webhooks list`: where a tenant is told of what happens."""

from typing import Annotated

import typer

from cli._options import expanded
from cli._stack import Stack


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Webhooks of tenants.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(expanded(listing))
    app.add_typer(group, name="webhooks")


def listing(
    stack: Stack,
    tenant: Annotated[str | None, typer.Option(help="Whose; of an embedded stack demo.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """The endpoints of a tenant: what they subscribe to, whether they are enabled, since when they fail."""
    from cli import _webhooks

    _webhooks.listing(stack, tenant, as_json)
