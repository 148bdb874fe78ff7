"""`budgets create|list|delete`: how much a tenant may spend."""

from typing import Annotated

import typer

from cli._budget_options import Charged, Terms
from cli._options import expanded
from cli._stack import Stack

Tenant = Annotated[str | None, typer.Option(help="Whose; of an embedded stack demo.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_' and '-'.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="How much may be spent.", no_args_is_help=True, rich_markup_mode=None)
    group.command("create")(expanded(create))
    group.command("list")(expanded(listing))
    group.command("delete")(expanded(delete))
    app.add_typer(group, name="budgets")


def create(
    stack: Stack,
    charged: Charged,
    name: Name,
    limit: Annotated[str, typer.Option(metavar="USD", help="At most so many US dollars, e.g. 250 or 0.05.")],
    terms: Terms,
) -> None:
    """Make a budget; it holds for every call that begins from now on."""
    from cli import _budgets

    _budgets.create(stack, name, limit, charged, terms)


def listing(
    stack: Stack,
    tenant: Tenant = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """The budgets of a tenant: what was spent, what is reserved by calls under way, and what is left."""
    from cli import _budgets

    _budgets.listing(stack, tenant, as_json)


def delete(
    stack: Stack,
    name: Name,
    tenant: Tenant = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Remove a budget: calls that begin from now on are not charged to it."""
    from cli import _budgets

    _budgets.delete(stack, name, tenant, as_json)
