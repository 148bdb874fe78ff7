"""`schemas`: named output schemas of a tenant."""

from pathlib import Path
from typing import Annotated

import typer

from cli._options import expanded
from cli._stack import Stack

AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]
Tenant = Annotated[str | None, typer.Option(help="Whose; of an embedded stack demo.")]
Name = Annotated[str, typer.Argument(help="Letters, digits, '.', '_' and '-'.")]
Mode = Annotated[str | None, typer.Option(help="NONE, BACKWARD, FORWARD or FULL.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Named output schemas.", no_args_is_help=True, rich_markup_mode=None)
    for name, command in (("list", list_all), ("show", show), ("add", add), ("compatibility", compatibility)):
        group.command(name)(expanded(command))
    app.add_typer(group, name="schemas")


def list_all(stack: Stack, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """The names, with their newest versions and how the next one must fit."""
    from cli import _schemas

    _schemas.list_all(stack, tenant, as_json)


def show(
    stack: Stack,
    name: Name,
    version: Annotated[int | None, typer.Option(min=1, help="The newest unless given.")] = None,
    tenant: Tenant = None,
) -> None:
    """One version, as JSON."""
    from cli import _schemas

    _schemas.show(stack, tenant, name, version)


def add(
    stack: Stack,
    name: Name,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A JSON Schema.")],
    mode: Mode = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say whether it would be taken.")] = False,
    tenant: Tenant = None,
) -> None:
    """Add a version. Exit 1 with the reasons when it does not fit the one before."""
    from cli import _schemas

    _schemas.add(stack, tenant, _schemas.Addition(name, file, mode, dry_run))


def compatibility(
    stack: Stack,
    name: Name,
    mode: Annotated[str, typer.Argument(help="NONE, BACKWARD, FORWARD or FULL.")],
    tenant: Tenant = None,
) -> None:
    """Change how the next version must fit."""
    from cli import _schemas

    _schemas.set_compatibility(stack, tenant, name, mode)
