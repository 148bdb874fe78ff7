"""`sinks list|pause|resume|replay`: the destinations of everything that leaves the line."""

from typing import Annotated

import typer

from cli._options import expanded
from cli._stack import Stack

Name = Annotated[str, typer.Argument(help="As `sinks list` shows it, e.g. clickhouse.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Destinations of results.", no_args_is_help=True, rich_markup_mode=None)
    group.command("leftovers")(expanded(leftovers))
    for name, command in (("list", listing), ("pause", pause), ("resume", resume), ("replay", replay)):
        group.command(name)(expanded(command))
    app.add_typer(group, name="sinks")


def listing(stack: Stack, as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False) -> None:
    """Every sink that ever ran: how it is, how far it is behind, what it waits for."""
    from cli import _sinks

    _sinks.listing(stack, as_json)


def pause(stack: Stack, name: Name) -> None:
    """Carry nothing until it is resumed, also after a restart; within 2 s. What comes meanwhile waits on its topics."""
    from cli import _sinks

    _sinks.pause(stack, name, True)


def resume(stack: Stack, name: Name) -> None:
    """Go on where it was paused; within 2 s."""
    from cli import _sinks

    _sinks.pause(stack, name, False)


def replay(
    stack: Stack,
    name: Name,
    since: Annotated[
        str | None, typer.Option("--since", help="From there on, in all partitions: 30m, 24h, 7d, or an RFC 3339 time.")
    ] = None,
    offsets: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="TOPIC/PARTITION@OFFSET", help="From there on in one partition; repeatable."),
    ] = None,
) -> None:
    """Carry again what is still on the topics. What is at the destination already is written again, which changes
    nothing."""
    from cli import _sinks

    if (since is None) == (not offsets):
        raise typer.BadParameter("say where to begin: --since 24h, or --from prompt.results/3@1200")
    _sinks.replay(stack, name, since, offsets or [])


def leftovers(
    stack: Stack,
    remove: Annotated[bool, typer.Option("--remove", help="Remove them; else they are listed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Objects of the S3 sink that no manifest names, though all their rows are in objects that one does. A crash in the
    middle of a write leaves them where a replay was ordered in the same moment. Reads the environment, as `sink s3`."""
    from cli import _sinks

    _sinks.leftovers(stack, remove, as_json)
