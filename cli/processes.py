"""`api`, `worker`, `sink`, `sources`: one process each, for production; settings come from the environment."""

import os
from typing import Annotated

import typer

from connectors import lean


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (api, worker, sink, sources):
        app.command()(command)


def api() -> None:
    """Serve the HTTP API until SIGTERM."""
    lean.load()
    from api.main import run
    from cli._target import read_file
    from domain.settings import load

    run(load(os.environ, read_file), os.environ)


def worker(
    stage: Annotated[
        str, typer.Option(metavar="NAMES", help="Which stages, separated by commas: intake, infer, wake.")
    ] = "intake,infer,wake",
) -> None:
    """Run stages of the line until SIGTERM; calls in flight are finished first."""
    lean.load()
    from agents.flow import STAGES
    from agents.main import run
    from cli._target import read_file
    from domain.settings import load

    names = [name.strip() for name in stage.split(",") if name.strip()]
    unknown = [name for name in names if name not in STAGES]
    if unknown or not names:
        raise typer.BadParameter(f"no stage {', '.join(unknown) or 'given'}; there are: {', '.join(STAGES)}")
    run(load(os.environ, read_file), os.environ, list(dict.fromkeys(names)))


def sink(
    name: Annotated[
        str,
        typer.Argument(help="clickhouse, postgres, s3, kafka, bigquery, snowflake, sheets, destinations, or exports."),
    ],
) -> None:
    """Carry results, usage and events to a destination until SIGTERM."""
    lean.load(["structlog"])
    from cli._target import read_file
    from domain.settings import load

    settings = load(os.environ, read_file)
    if name == "destinations":
        from agents.notify.main import run as run_destinations

        run_destinations(settings)
        return
    if name == "exports":
        from agents.export.main import run as run_exports

        run_exports(settings)
        return
    from agents.deliver.main import run

    run(settings, name)


def sources() -> None:
    """Make requests of what sources hold, of STRUCTURED_PROMPT_SOURCES and over HTTP, until SIGTERM."""
    lean.load(["structlog"])
    from agents.deliver.sources import run
    from cli._target import read_file
    from domain.settings import load

    run(load(os.environ, read_file), os.environ)
