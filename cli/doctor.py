"""`doctor`: this machine, the stack in a directory, and the engines that would be used."""

from typing import Annotated

import typer

from cli._output import print_json, print_table
from cli.local import DEFAULT, AsJson, Data, named_families


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(doctor)


def doctor(
    data: Data = DEFAULT,
    use_env: Annotated[str, typer.Option(metavar="NAMES", help="Look at these from the environment instead.")] = "",
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of the API, as `up` would be told.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine, the settings, the stack and its engines, and say what to do about what is wrong."""
    from cli._doctor import checks_of
    from ops.local.control import typed

    checks = checks_of(data.absolute(), named_families(use_env), port)
    if as_json:
        print_json([check.as_json() for check in checks])
    else:
        print_table(
            ("", "check", "found", "what to do"), [(c.verdict, c.name, c.found, typed(c.remedy)) for c in checks]
        )
    if any(check.verdict == "fail" for check in checks):
        raise typer.Exit(1)
