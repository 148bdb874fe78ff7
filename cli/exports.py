"""`export create|list|show|cancel|schedule|schedules|pause|resume|unschedule`: files of results in a bucket."""

from collections.abc import Callable
from typing import Annotated

import typer

from cli._export_options import Timing, What
from cli._options import expanded
from cli._stack import Stack

Tenant = Annotated[str | None, typer.Option(help="Whose; of an embedded stack demo.")]
Json = Annotated[bool, typer.Option("--json", help="For scripts.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="As `export list` shows it.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `export schedules` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Files of results in a bucket.", no_args_is_help=True, rich_markup_mode=None)
    commands: dict[str, Callable[..., None]] = {
        "create": create, "list": listing, "show": show, "cancel": cancel, "schedule": schedule,
        "schedules": schedules, "pause": pause, "resume": resume, "unschedule": unschedule,
    }  # fmt: skip
    for name, command in commands.items():
        group.command(name)(expanded(command))
    app.add_typer(group, name="export")


def create(
    stack: Stack,
    what: What,
    since: Annotated[str, typer.Option(help="30m, 24h, 7d, or an RFC 3339 time.")] = "24h",
    until: Annotated[str | None, typer.Option(help="The same; now without it.")] = None,
    tenant: Tenant = None,
    as_json: Json = False,
) -> None:
    """Order a file of results; `sink exports` makes it."""
    from cli import _exports

    _exports.create(stack, what, (since, until), tenant, as_json)


def listing(stack: Stack, tenant: Tenant = None, as_json: Json = False) -> None:
    """The newest 200: how they are and how far."""
    from cli import _exports

    _exports.listing(stack, tenant, as_json)


def show(stack: Stack, id: Id, tenant: Tenant = None) -> None:
    """One of them as JSON, with a signed URL of its file: from the bucket's settings (`--use-env`), or from the API."""
    from cli import _exports

    _exports.show(stack, id, tenant)


def cancel(stack: Stack, id: Id, tenant: Tenant = None) -> None:
    """Stop it; what of its file is in the bucket is removed."""
    from cli import _exports

    _exports.cancel(stack, id, tenant)


def schedule(stack: Stack, name: Name, timing: Timing, what: What, tenant: Tenant = None) -> None:
    """Export at set times what ended since the time before; runs that were missed are one."""
    from cli import _exports

    _exports.schedule(stack, name, timing, what, tenant)


def schedules(stack: Stack, tenant: Tenant = None, as_json: Json = False) -> None:
    """All of a tenant, with the time of each next run."""
    from cli import _exports

    _exports.schedules(stack, tenant, as_json)


def pause(stack: Stack, name: Name, tenant: Tenant = None) -> None:
    """Order nothing until it is resumed."""
    from cli import _exports

    _exports.pause(stack, name, tenant, True)


def resume(stack: Stack, name: Name, tenant: Tenant = None) -> None:
    """Go on; what was passed by is one run."""
    from cli import _exports

    _exports.pause(stack, name, tenant, False)


def unschedule(stack: Stack, name: Name, tenant: Tenant = None) -> None:
    """Remove a schedule; exports that it ordered go on."""
    from cli import _exports

    _exports.unschedule(stack, name, tenant)
