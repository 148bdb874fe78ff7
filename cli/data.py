"""`submit`, `ask`, `results`, `explain`, `usage`: what goes in and what comes out."""

from typing import Annotated, Literal

import typer

from cli._options import expanded
from cli._stack import Stack
from cli._submit_options import AskOptions, RowOptions, RunOptions
from cli._time import Since

Tenant = Annotated[str | None, typer.Option(help="Whose; of an embedded stack demo.")]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (submit, ask, results, explain, usage):
        app.command()(expanded(command))


def submit(
    stack: Stack,
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSONL, a JSON array or CSV; - reads standard input.")],
    rows: RowOptions,
    run: RunOptions,
) -> None:
    """Publish the requests of a file to prompt.requests.

    A row is a PromptRequest; without an id it gets a new one. With --template, what is no field of a request is a
    variable of the template. CSV columns are id, tenant, prompt, model, lane, subject, deadline, max_cost_usd, cache,
    callback_url, tags.NAME, metadata.NAME and variables.NAME; without a column prompt, every other one is a variable
    too. Files are UTF-8; the cells of CSV are separated by commas, or by semicolons or tabs. Rows that are no requests
    are listed and not sent. Exit 1 unless every row was sent, and with --wait completed.
    """
    from cli import _submit

    _submit.submit(stack, file, rows, run)


def ask(
    stack: Stack,
    question: Annotated[str, typer.Argument(help="The prompt; - reads standard input.")],
    how: AskOptions,
) -> None:
    """Ask one question and print the answer."""
    from cli import _submit

    _submit.ask(stack, question, how)


def results(
    stack: Stack,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay, and print what comes.")] = False,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    since: Since = "28d",
) -> None:
    """Print results as JSONL, oldest first within a partition."""
    from cli import _results

    _results.results(stack, follow, tenant, since)


def explain(
    stack: Stack,
    id: Annotated[str, typer.Argument(metavar="ID", help="Of the request.")],
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Where a request is, what it waits for, its attempts and their cost, from the ledger."""
    from cli import _explain

    _explain.explain(stack, id, tenant, as_json)


def usage(
    stack: Stack,
    by: Annotated[str, typer.Option(help="Dimensions, separated by commas: hour, day, tenant, …")] = "tenant,model",
    since: Since = "24h",
    format: Annotated[Literal["table", "json", "csv"], typer.Option()] = "table",
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
) -> None:
    """Requests, tokens and dollars, from ClickHouse."""
    from cli import _results

    _results.usage(stack, by.split(","), since, format, tenant)
