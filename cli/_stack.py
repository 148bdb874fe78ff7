"""The options that choose which stack a command talks to. Light, so that `--help` is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True)
class Stack:
    """Taken by every command that reads or writes the engines; `cli._target.find` resolves it."""

    data: Annotated[Path | None, typer.Option("--data", help="The stack in this directory, of `up --data`.")] = None
    use_env: Annotated[
        bool,
        typer.Option(
            "--use-env",
            help="Take the addresses from the environment (KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL, REDIS_URL, "
            "CLICKHOUSE_URL) wherever they point. Without it the environment counts only while all four are set and "
            "point to this machine; otherwise the stack in .local is used.",
        ),
    ] = False
