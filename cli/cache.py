"""`cache warm|invalidate|stats`: what is kept of answers, and what is to be forgotten."""

from typing import Annotated

import typer

from cli._cache_options import Warming, What
from cli._options import expanded
from cli._stack import Stack
from cli._time import Since

Tenant = Annotated[str | None, typer.Option(help="Whose; of an embedded stack demo.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Answers that are known already.", no_args_is_help=True, rich_markup_mode=None)
    group.command("warm")(expanded(warm))
    group.command("invalidate")(expanded(invalidate))
    group.command("stats")(expanded(stats))
    app.add_typer(group, name="cache")


def warm(
    stack: Stack,
    how: Warming,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="JSONL, a JSON array or CSV; - reads standard input.")
    ] = None,
) -> None:
    """Have answers known before they are asked for: those of a file, and of what was asked most.

    A row is a PromptRequest. With an `output` it is stored as the answer to that request, once it was found valid;
    without one the request is asked in the bulk lane, at no cost where its answer is known. --top N asks what was
    asked most, as long as Kafka keeps those requests (7 days). Exit 1 when a row was refused.
    """
    from cli import _warm

    if file is None and not how.top:
        raise typer.BadParameter("say what to warm it with: a FILE, or --top N")
    _warm.warm(stack, file, how)


def invalidate(stack: Stack, what: What, tenant: Tenant = None) -> None:
    """Forget answers, in every worker within a second; also those that are on their way."""
    from cli import _cache

    if not any(vars(what).values()):
        raise typer.BadParameter("say which: --all, --key, --template, --schema, --model or --tag")
    _cache.invalidate(stack, what, tenant)


def stats(
    stack: Stack,
    tenant: Tenant = None,
    since: Since = "24h",
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Hits, their share, what they saved and how old the answers were, by template, from ClickHouse."""
    from cli import _cache

    _cache.stats(stack, tenant, since, as_json)
