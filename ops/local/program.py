"""What the supervisor runs: a program that stays up, a command that runs once."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from domain.errors import Permanent

Probe = Callable[[], Awaitable[bool]]


class StackError(Permanent):
    """The embedded stack cannot do what was asked; the message names the cause and the remedy."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process that stays up.

    `ready` answers whether it serves; it may raise OSError, which counts as no. `start_seconds` is the time it may
    take until then, `stop_seconds` the time between `stop_signal` and SIGKILL. `user` is the account it runs as when
    the supervisor is root.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Probe
    cwd: Path | None = None
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    start_seconds: float = 30
    stop_seconds: float = 10
    port: int | None = None
    metrics_port: int | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A process that runs once and has to exit with 0 before the next group starts.

    Its standard output goes to `output`, which only its owner may read, or with the rest into its log.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    output: Path | None = None
    seconds: float = 120


class Engine(Protocol):
    """An engine of the embedded stack; `variable` is the setting that takes its `url`."""

    name: str
    variable: str

    @property
    def url(self) -> str: ...

    def prepare(self) -> None:
        """Create what the first start needs, and clear what a killed life left; blocking and repeatable.

        Raises StackError when the machine lacks something.
        """

    def program(self) -> Program:
        """The process to run; the same on every restart."""


@dataclass(frozen=True, slots=True)
class Group:
    """Steps that start side by side; the next group waits for all of them."""

    engines: tuple[Engine, ...] = ()
    programs: tuple[Program, ...] = ()
    commands: tuple[Command, ...] = ()

    def names(self) -> list[str]:
        """Of the processes that stay up."""
        return [*(engine.name for engine in self.engines), *(program.name for program in self.programs)]


async def wait_until(probe: Probe, *, seconds: float, every: float = 0.05) -> bool:
    """Ask `probe` until it says yes or the time is over; an OSError or a hanging answer is a no."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        if await answers(probe):
            return True
        await asyncio.sleep(every)
    return False


async def answers(probe: Probe, *, seconds: float = 2) -> bool:
    """One answer of `probe` within `seconds`; an OSError or silence is a no."""
    try:
        async with asyncio.timeout(seconds):
            return await probe()
    except (OSError, TimeoutError, EOFError, ValueError):
        return False
