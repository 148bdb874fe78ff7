"""`dead-letters list|show`: what nobody could finish, and why."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli._options import expanded
from cli._output import print_json, print_table
from cli._stack import Stack
from cli._time import Since, parse_since
from domain.errors import Conflict

COLUMNS = ("place", "last_seen", "stage", "code", "tenant", "id", "reason")


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Records nobody could finish.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(expanded(list_letters))
    group.command("show")(expanded(show_letter))
    app.add_typer(group, name="dead-letters")


def list_letters(
    stack: Stack,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only with this code, e.g. unreadable.")] = None,
    since: Since = "28d",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: whole letters, one a line.")] = False,
) -> None:
    """The newest dead letters, oldest first."""

    def wanted(letter: dict[str, Any]) -> bool:
        return tenant in (None, letter["tenant"]) and reason in (None, letter["code"])

    letters = deque(_read(stack, parse_since(since), wanted), maxlen=limit)
    if as_json:
        for letter in letters:
            print(json.dumps(letter))
        return
    print_table(COLUMNS, [[letter[name] for name in COLUMNS] for letter in letters])


def show_letter(
    stack: Stack,
    place: Annotated[str, typer.Argument(help="PARTITION:OFFSET as `list` shows it, or the id of a request.")],
) -> None:
    """One dead letter, whole, with its original value as text where it is text."""
    everything = datetime.now(UTC) - timedelta(days=366)
    found = list(_read(stack, everything, lambda letter: place in (letter["place"], letter["id"])))
    if not found:
        raise Conflict(f"there is no dead letter {place!r}; `structured-prompt dead-letters list` shows them")
    for letter in found:
        print_json({**letter, "text": _text(letter["value"])})


def _text(value: str | None) -> str | None:
    import base64

    try:
        return base64.b64decode(value or "").decode()
    except UnicodeDecodeError:
        return None


def _read(stack: Stack, since: datetime, wanted: Callable[[dict[str, Any]], bool]) -> Iterator[dict[str, Any]]:
    from cli._target import find
    from connectors.kafka import security
    from connectors.kafka.tail import Tail
    from topics.table import DEAD_LETTERS

    target = find(stack)
    with closing(
        Tail(security.librdkafka(target.settings), [DEAD_LETTERS], since, target.settings.topic_prefix)
    ) as tail:
        for item in tail.until_caught_up():
            letter = {"place": f"{item.partition}:{item.offset}", **json.loads(item.value)}
            if wanted(letter):
                yield letter
