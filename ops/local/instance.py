"""The data directory of one embedded stack: its lock, its state file, what a killed life left behind.

`DIR/lock` is held (flock) by the supervisor as long as it lives; the kernel lets go of it whatever happens.
`DIR/state.json` says what runs, for `status`, `down` and the next `up`; it is replaced in one rename.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from .guard import stop_groups
from .program import StackError


@dataclass(slots=True)
class ProcessState:
    """One row of the state file. `created` is the process's start time, which makes `pid` unmistakable."""

    name: str
    pid: int | None = None
    created: float | None = None
    state: str = "waiting"  # waiting | starting | running | restarting | stopped
    restarts: int = 0
    port: int | None = None
    metrics_port: int | None = None
    stop_signal: int = 15


@dataclass(slots=True)
class StackState:
    """What the state file holds. `phase`: starting | ready | stopping | stopped | failed (then `error` says why)."""

    phase: str = "starting"
    pid: int = 0
    created: float = 0
    url: str | None = None
    error: str | None = None
    external: list[str] = field(default_factory=list)
    processes: list[ProcessState] = field(default_factory=list)


class Instance:
    """The directory, locked by us."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._lock: IO[str] | None = None
        self.state = StackState(pid=os.getpid(), created=created(os.getpid()) or 0)

    def open(self) -> None:
        """Lock the directory and clear what a killed life left. Raises StackError when another instance holds it."""
        self.data.mkdir(parents=True, exist_ok=True)
        lock = (self.data / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise already_running(self.data) from None
        self._lock = lock
        stop_left_overs(self.data)
        self.save()

    def enter(self, phase: str) -> None:
        self.state.phase = phase
        self.note()

    def note(self) -> None:
        """As `save`, but a full disk loses the note and not the processes: the next one says it all again."""
        with suppress(OSError):
            self.save()

    def save(self) -> None:
        scratch = self.data / "state.json.new"
        scratch.write_text(json.dumps(asdict(self.state), indent=1))
        scratch.replace(self.data / "state.json")

    def close(self) -> None:
        """Let go of the directory; what never got as far as starting has failed."""
        if self._lock is not None:
            if self.state.phase == "starting":
                self.enter("failed")
            self._lock.close()
            self._lock = None

    def log_path(self, name: str) -> Path:
        return log_path(self.data, name)


def already_running(data: Path) -> StackError:
    holder = read_state(data)
    pid = f" (pid {holder.pid})" if holder else ""
    return StackError(
        f"{data} is already in use by a running stack{pid}: "
        f"`structured-prompt down --data {data}` stops it, --data DIR starts another one beside it"
    )


def log_path(data: Path, name: str) -> Path:
    return data / "logs" / f"{name}.log"


def is_running(data: Path) -> bool:
    """Whether a supervisor holds the lock of `data`."""
    try:
        lock = (data / "lock").open()
    except FileNotFoundError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read_state(data: Path) -> StackState | None:
    """What the state file says, running or not; None without one."""
    try:
        raw: dict[str, Any] = json.loads((data / "state.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    processes = [ProcessState(**row) for row in raw.pop("processes")]
    return StackState(**raw, processes=processes)


def created(pid: int) -> float | None:
    """When `pid` started; None when it is gone."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def is_alive(row: ProcessState) -> bool:
    """Whether the very process of the row lives, not another one that got its pid."""
    if row.pid is None or row.created is None:
        return False
    now = created(row.pid)
    return now is not None and abs(now - row.created) < 1


def stop_left_overs(data: Path) -> None:
    """Stop processes of a life that was killed, before their files are used again."""
    state = read_state(data)
    rows: Sequence[ProcessState] = state.processes if state else []
    stop_groups({row.pid: row.stop_signal for row in rows if row.pid is not None and is_alive(row)})
