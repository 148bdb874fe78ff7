"""`dead-letters list|show|redrive`: what nobody could finish, why, and once more."""

from typing import Annotated

import typer

from cli._letter_options import Choice, Edits, Pace
from cli._options import expanded
from cli._stack import Stack


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Records nobody could finish.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(expanded(list_letters))
    group.command("show")(expanded(show_letter))
    group.command("redrive")(expanded(redrive))
    app.add_typer(group, name="dead-letters")


def list_letters(
    stack: Stack,
    choice: Choice,
    waiting: Annotated[bool, typer.Option("--open", help="Only those that were not redriven.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one a line.")] = False,
) -> None:
    """The newest dead letters, oldest first. A letter is here a second or so after it was produced."""
    from cli import _letters

    _letters.list_letters(stack, choice, limit, waiting, as_json)


def show_letter(
    stack: Stack,
    name: Annotated[str, typer.Argument(metavar="LETTER", help="As `list` shows it, or the id of a request.")],
) -> None:
    """One dead letter, whole, with its original value as text where it is text."""
    from cli import _letters

    _letters.show_letter(stack, name)


def redrive(
    stack: Stack,
    choice: Choice,
    edits: Edits,
    pace: Pace,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[LETTER]…", help="As `list` shows them; or choose with the options.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every letter that was not redriven yet.")] = False,
) -> None:
    """Run failed requests again, and publish again what could not be read.

    A request that failed starts its next run, with the model, template or schema given here; a record that never became
    a request is published again as it came, once its cause was mended. Nothing is started twice: a letter whose request
    has gone on since is skipped, and the table says why. --dry-run tells how many there are and what they would cost.
    """
    from cli import _letters

    if not (names or everything or any(vars(choice).values())):
        raise typer.BadParameter("say which: names of letters, --reason, --since and the like, or --all")
    _letters.redrive(stack, choice, edits, pace, names)
