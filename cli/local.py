"""`up`, `down`, `status`, `logs`, `monitor`: the embedded stack of a data directory."""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli._options import expanded
from cli._output import print_json, print_table

DEFAULT = Path(".local")
EXTERNAL = ("kafka", "postgres", "redis", "clickhouse", "providers")
Data = Annotated[Path, typer.Option("--data", help="Directory of the stack: its data, logs and addresses.")]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What `up` was asked for, with what the options stand for."""

    data: Path
    port: int | None
    workers: int
    families: tuple[str, ...]
    beside: "Beside"


@dataclass(frozen=True, slots=True)
class Beside:
    """What an embedded stack may have more."""

    domain: Annotated[
        str | None, typer.Option(help="Put Caddy in front: localhost, or a name whose DNS points to this machine.")
    ] = None
    sources: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A file of sources (docs/sources.md) to read.")
    ] = None
    exports: Annotated[
        bool, typer.Option("--exports", help="Make exports into the bucket of STRUCTURED_PROMPT_EXPORT_S3_…, too.")
    ] = False


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (expanded(up), down, status, logs, monitor):
        app.command()(command)


def up(
    beside: Beside,
    data: Data = DEFAULT,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the API; 8000 or the next free.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Replicas of each stage.")] = 1,
    detach: Annotated[bool, typer.Option("--detach", help="Return once ready, and leave it running.")] = False,
    use_env: Annotated[
        str, typer.Option(metavar="NAMES", help=f"Take these from the environment instead: {','.join(EXTERNAL)}.")
    ] = "",
) -> None:
    """Start everything on this machine: engines, simulated provider, API, workers, sinks.

    Uses only embedded engines and the simulated provider, whatever the environment says, unless --use-env names more.
    """
    families = named_families(use_env)
    asked = Asked(data.absolute(), port, workers, families, beside)
    if detach:
        _up_detached(asked)
    else:
        _up(asked)


def down(data: Data = DEFAULT) -> None:
    """Stop everything, workers first; calls in flight are finished."""
    from ops.local.control import stop

    print(f"stopped {data}" if stop(data.absolute()) else f"nothing runs in {data}")


def status(data: Data = DEFAULT, as_json: AsJson = False) -> None:
    """One row a process: is it well, what lags, what does it take."""
    from ops.local.instance import is_running
    from ops.local.status import rows

    running = is_running(data.absolute())
    found = asyncio.run(rows(data.absolute())) if running else []
    if as_json:
        print_json([row.as_json() for row in found])
    elif running:
        cells = [tuple(row.as_json().values()) for row in found]
        print_table(("name", "pid", "state", "health", "lag", "rss_mb", "restarts"), cells)
    if not running:
        print(f"nothing runs in {data}: `structured-prompt up` starts it", file=sys.stderr)
        raise typer.Exit(1)


def logs(
    name: Annotated[str | None, typer.Argument(help="Of one process; without it, of all.")] = None,
    data: Data = DEFAULT,
    lines: Annotated[int, typer.Option(min=1, help="How many of each.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay, and print what comes.")] = False,
) -> None:
    """The end of the logs."""
    from ops.local.child import last_lines

    known = {path.stem: path for path in sorted((data / "logs").glob("*.log"))}
    if name is not None and name not in known:
        raise typer.BadParameter(f"no log of {name!r} in {data}; there are: {', '.join(known) or 'none'}")
    chosen = [known[name]] if name else list(known.values())
    sizes = {path: path.stat().st_size for path in chosen}
    for path in chosen:
        print(last_lines(path, lines) if name else f"==> {path.stem} <==\n{last_lines(path, lines)}\n")
    if follow:
        _follow(sizes)


def monitor(
    data: Data = DEFAULT,
    alerts: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Alertmanager's configuration: who is told.")
    ] = None,
) -> None:
    """Watch the running stack with Prometheus and Alertmanager, and production's alerts, until interrupted."""
    from ops.local.instance import is_running, read_state
    from ops.local.monitoring import plan, run

    state = read_state(data.absolute()) if is_running(data.absolute()) else None
    if state is None:
        print(f"nothing runs in {data}: `structured-prompt up` starts it", file=sys.stderr)
        raise typer.Exit(1)
    watch = plan(data.absolute(), state.processes, alerts and alerts.absolute())
    print(f"alerts and queries {watch.prometheus_url}\nwho is told {watch.alertmanager_url}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        run(watch)


def named_families(use_env: str) -> tuple[str, ...]:
    """The words of --use-env. Raises typer.BadParameter for one that is unknown."""
    names = tuple(name.strip() for name in use_env.split(",") if name.strip())
    unknown = [name for name in names if name not in EXTERNAL]
    if unknown:
        raise typer.BadParameter(f"--use-env knows {', '.join(EXTERNAL)}, not {', '.join(unknown)}")
    return names


def _up(asked: Asked) -> None:
    from ops.local.environment import write_env
    from ops.local.instance import Instance
    from ops.local.kafka_jars import default_cache
    from ops.local.stack import Stack, Wishes
    from ops.local.supervisor import serve

    data = asked.data
    instance = Instance(data)
    instance.open()
    try:
        wishes = Wishes(
            data, default_cache(), os.environ, asked.port, asked.workers, asked.families, asked.beside.domain,
            asked.beside.sources and asked.beside.sources.absolute(), asked.beside.exports,
        )  # fmt: skip
        stack = Stack(wishes)
        instance.state.url, instance.state.external = stack.url, list(asked.families)

        def ready() -> None:
            write_env(data, stack.env())
            rows = [(row.name, row.port or row.metrics_port, row.pid, "embedded") for row in instance.state.processes]
            print_table(
                ("name", "port", "pid", ""), [*rows, *((name, None, None, "external") for name in asked.families)]
            )
            print(f"addresses and the API key: {data / 'env'}")
            print(f"ready {stack.url}", flush=True)

        asyncio.run(serve(instance, stack.groups(), _say, ready))
    finally:
        instance.close()


def _up_detached(asked: Asked) -> None:
    from ops.local.control import console, start_detached
    from ops.local.kafka_jars import default_cache, fetched_jars

    if "kafka" not in asked.families:
        fetched_jars(default_cache())
    words = ["up", "--data", str(asked.data), "--workers", str(asked.workers), "--use-env", ",".join(asked.families)]
    words += ["--port", str(asked.port)] if asked.port else []
    words += ["--domain", asked.beside.domain] if asked.beside.domain else []
    words += ["--sources", str(asked.beside.sources.absolute())] if asked.beside.sources else []
    words += ["--exports"] if asked.beside.exports else []
    start_detached(asked.data, console(*words), lambda text: print(text, end="", flush=True))


def _say(line: str) -> None:
    print(line, flush=True)


def _follow(sizes: dict[Path, int]) -> None:
    """Print what is appended to the files, from the given sizes on, until interrupted."""
    several = len(sizes) > 1
    while True:
        for path, seen in list(sizes.items()):
            text = _since(path, seen)
            sizes[path] = seen + len(text)
            lines = text.decode(errors="replace").splitlines()
            print("".join(f"{path.stem}: {line}\n" if several else f"{line}\n" for line in lines), end="")
        sys.stdout.flush()
        time.sleep(0.3)


def _since(path: Path, seen: int) -> bytes:
    """What was appended after `seen` bytes."""
    with path.open("rb") as file:
        file.seek(seen)
        return file.read()
