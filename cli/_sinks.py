"""What `sinks` does."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import typer

from cli._output import print_json, print_table
from cli._stack import Stack
from cli._target import find
from cli._time import parse_since
from connectors.audited.postgres import Repositories
from connectors.postgres.pool import connect
from connectors.sinks import s3_leftovers
from domain.errors import Conflict
from domain.ports import SinkBoard
from domain.sinks.model import Place, parse_place
from domain.sinks.view import fields

T = TypeVar("T")
COLUMNS = ("name", "state", "lag", "oldest_at", "rows", "refused", "errors", "paused_at", "replay", "detail")


def listing(stack: Stack, as_json: bool) -> None:
    now = datetime.now(UTC)
    rows = [fields(sink, now) for sink in _with_board(stack, lambda board: board.look())]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        replay = row["replay"]
        row["replay"] = replay and f"{replay['number']}: {len(replay['followed'])} partitions"
    print_table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


def pause(stack: Stack, name: str, paused: bool) -> None:
    """Raises Conflict when there is no such sink."""
    _found(name, _with_board(stack, lambda board: board.pause(name, paused)))
    print(f"{name} is paused" if paused else f"{name} goes on")


def replay(stack: Stack, name: str, since: str | None, offsets: list[str]) -> None:
    """Raises Conflict when there is no such sink."""
    start = None if since is None else parse_since(since)
    places = dict(map(_place, offsets))
    number = _with_board(stack, lambda board: board.replay(name, start, places))
    _found(name, number is not None)
    print(f"{name} replays (number {number}); `structured-prompt sinks list` tells how far it is")


def leftovers(stack: Stack, remove: bool, as_json: bool) -> None:
    """Raises InvalidSettings where no bucket is set."""
    found = asyncio.run(s3_leftovers(find(stack).settings, remove=remove))
    if as_json:
        print_json({"removed": remove, "objects": found})
        return
    for key in found:
        print(key)
    print(f"{len(found)} removed" if remove else f"{len(found)} found; --remove removes them")


def _place(text: str) -> tuple[Place, int]:
    place, _, offset = text.partition("@")
    if not offset.isdigit():
        raise typer.BadParameter(f"--from {text}: write it as prompt.results/3@1200")
    return parse_place(place), int(offset)


def _found(name: str, found: bool) -> None:
    if not found:
        raise Conflict(f"no process of a sink {name!r} was ever heard of; `structured-prompt sinks list` shows them")


def _with_board(stack: Stack, work: Callable[[SinkBoard], Awaitable[T]]) -> T:
    async def run() -> T:
        pool = await connect(find(stack).settings.database_url.get_secret_value(), 1)
        try:
            return await work(Repositories(pool).sinks)
        finally:
            await pool.close()

    return asyncio.run(run())
