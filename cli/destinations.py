"""`destinations list|show|pause|resume`: where a tenant's results and events go."""

from typing import Annotated

import typer

from cli._options import expanded
from cli._stack import Stack

Tenant = Annotated[str | None, typer.Option(help="Whose; of an embedded stack demo.")]
Id = Annotated[str, typer.Argument(help="Which, as `destinations list` shows it.")]
Json = Annotated[bool, typer.Option("--json", help="For scripts.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Destinations of tenants.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(expanded(listing))
    group.command("show")(expanded(show))
    group.command("pause")(expanded(pause))
    group.command("resume")(expanded(resume))
    app.add_typer(group, name="destinations")


def listing(stack: Stack, tenant: Tenant = None, as_json: Json = False) -> None:
    """The destinations of a tenant: their state, what waits for them, what went wrong and what to do."""
    from cli import _destinations

    _destinations.listing(stack, tenant, as_json)


def show(stack: Stack, id: Id, tenant: Tenant = None) -> None:
    """All about one of them, as JSON."""
    from cli import _destinations

    _destinations.show(stack, tenant, id)


def pause(stack: Stack, id: Id, tenant: Tenant = None) -> None:
    """What happens is queued for it, and nothing is sent."""
    from cli import _destinations

    _destinations.pause(stack, tenant, id, True)


def resume(stack: Stack, id: Id, tenant: Tenant = None) -> None:
    """What waits is sent."""
    from cli import _destinations

    _destinations.pause(stack, tenant, id, False)
