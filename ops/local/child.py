"""One supervised process: spawned, awaited until it serves, started again when it dies, stopped."""

import asyncio
import contextlib
import os
import pwd
import signal
from pathlib import Path
from typing import Any

from .guard import Guard
from .instance import Instance, ProcessState, created
from .program import Program, StackError, answers, wait_until

BACK_OFF_FIRST, BACK_OFF_LAST = 0.2, 10.0
SETTLED_SECONDS = 30.0  # a process that lived that long starts over with the first back-off
LOG_BYTES = 32 << 20


class Child:
    """A program and its current process; `row` is what the state file of `instance` shows of it."""

    def __init__(self, program: Program, row: ProcessState, instance: Instance, guard: Guard) -> None:
        self.program = program
        self.row = row
        row.port, row.metrics_port, row.stop_signal = program.port, program.metrics_port, int(program.stop_signal)
        self._log = instance.log_path(program.name)
        self._guard = guard
        self._changed = instance.note
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Spawn and wait until it serves. Raises StackError with the end of its log when it does not."""
        process = await self._spawn()
        serving = asyncio.create_task(wait_until(self.program.ready, seconds=self.program.start_seconds))
        dying = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({serving, dying}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done() and serving.result() and process.returncode is None:
                self._set("running")
                return
            ended = dying.done()
        finally:
            serving.cancel()
            dying.cancel()
        how = (
            f"ended with {process.returncode}" if ended else f"does not serve after {self.program.start_seconds:.0f} s"
        )
        raise StackError(f"{self.program.name} {how}; the end of {self._log}:\n{last_lines(self._log)}")

    async def keep(self) -> None:
        """Start the process again whenever it dies, until cancelled."""
        back_off = BACK_OFF_FIRST
        clock = asyncio.get_running_loop().time
        while self._process is not None:
            since = clock()
            await self._process.wait()
            self._bury()
            if clock() - since > SETTLED_SECONDS:
                back_off = BACK_OFF_FIRST
            self.row.restarts += 1
            self._set("restarting")
            process = await self._spawn_again(back_off)
            back_off = min(back_off * 2, BACK_OFF_LAST)
            await self._until_serving(process)

    async def stop(self) -> None:
        """Signal, wait as long as the program may take, then SIGKILL. Does nothing when it is not running."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            self._set("stopping")
            _signal(process.pid, self.program.stop_signal)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.program.stop_seconds):
                    await process.wait()
            _signal(process.pid, signal.SIGKILL)
            await process.wait()
        self._bury()
        self._set("stopped")

    async def _until_serving(self, process: asyncio.subprocess.Process) -> None:
        """Show `running` once it answers again; a process that dies first is `keep`'s business."""
        while process.returncode is None:
            if await answers(self.program.ready):
                self._set("running")
                return
            await asyncio.sleep(0.2)

    async def _spawn_again(self, back_off: float) -> asyncio.subprocess.Process:
        """After a wait; what cannot be started now, for want of room for its log or of memory, perhaps can be later."""
        while True:
            await asyncio.sleep(back_off)
            try:
                return await self._spawn()
            except OSError:
                back_off = min(back_off * 2, BACK_OFF_LAST)

    async def _spawn(self) -> asyncio.subprocess.Process:
        program = self.program
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *program.command,
                env=dict(program.environment),
                cwd=program.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **account_of(program.user),
            )
        self._guard.add(self._process.pid, program.stop_signal)
        self.row.pid = self._process.pid
        self.row.created = created(self._process.pid)
        self._set("starting")
        return self._process

    def _bury(self) -> None:
        """Forget the dead process; its own children go with it."""
        if self._process is not None:
            _signal(self._process.pid, signal.SIGKILL)
            self._guard.remove(self._process.pid)
        self._process = None
        self.row.pid = self.row.created = None

    def _set(self, state: str) -> None:
        self.row.state = state
        self._changed()


def account_of(user: str | None) -> dict[str, Any]:
    """The keyword arguments that make a subprocess run as `user`."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def last_lines(log: Path, lines: int = 15) -> str:
    """The end of a log file, at most 64 KiB of it."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 65_536))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:])


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
