"""What runs in a data directory, asked from outside: rows for `status`."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from . import probes
from .instance import ProcessState, is_alive, read_state
from .postgres import USER
from .program import Probe, answers
from .secret import kept_secret

LAG = re.compile(rb"^structured_prompt_consumer_lag(?:\{[^}]*\})? (\S+)", re.M)


@dataclass(frozen=True, slots=True)
class Row:
    """One process. `state`: starting | running | restarting | stopping | stopped | external. `health`: healthy |
    unhealthy | unknown (not running, or not ours to ask). `lag`: events not yet worked on, None where there is none.
    """

    name: str
    pid: int | None
    state: str
    health: str
    lag: int | None
    rss_mb: float | None
    restarts: int

    def as_json(self) -> dict[str, object]:
        return asdict(self)


async def rows(data: Path) -> list[Row]:
    """A row a process, in the order they started; empty when nothing was ever started in `data`."""
    state = read_state(data)
    if state is None:
        return []
    external = [Row(name, None, "external", "unknown", None, None, 0) for name in state.external]
    own: Sequence[Row] = await asyncio.gather(*(_row(process, data) for process in state.processes))
    return [*external, *own]


async def _row(process: ProcessState, data: Path) -> Row:
    if not is_alive(process):
        gone = "stopped" if process.state in ("running", "stopping") else process.state
        return Row(process.name, None, gone, "unknown", None, None, process.restarts)
    healthy = await answers(probe_of(process, data))
    return Row(
        name=process.name,
        pid=process.pid,
        state=process.state,
        health="healthy" if healthy else "unhealthy",
        lag=await _lag(process.metrics_port) if process.metrics_port else None,
        rss_mb=resident_mb(process.pid),
        restarts=process.restarts,
    )


def probe_of(process: ProcessState, data: Path) -> Probe:
    """How to ask the process whether it is well."""
    port = process.port or 0
    if process.name == "kafka":
        return probes.kafka(port)
    if process.name == "postgres":
        return probes.postgres(port, USER)
    if process.name == "redis":
        return probes.redis(port, kept_secret(data / "secrets" / "redis"))
    if process.name == "caddy":
        return probes.listening(port)
    if process.name == "clickhouse":
        return probes.http(port, "/ping")
    return probes.http(process.metrics_port or port, "/healthz")


async def _lag(port: int) -> int | None:
    """The sum of the lag gauges at /metrics; None where there is no such gauge, or nobody answers in time."""
    try:
        async with asyncio.timeout(2):
            status, body = await probes.http_get(port, "/metrics")
    except (OSError, TimeoutError, ValueError):
        return None
    found = LAG.findall(body)
    return round(sum(float(value) for value in found)) if status == 200 and found else None


def resident_mb(pid: int | None) -> float | None:
    """Resident memory of a process and its children, in MB."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return round(sum(member.memory_info().rss for member in family) / 1e6, 1)
    except psutil.NoSuchProcess:
        return None
