"""No orphans: a tiny process that stops the supervisor's children when the supervisor is gone, even by SIGKILL.

The supervisor holds the only writing end of a pipe and names each child on it. The kernel closes the pipe when the
supervisor dies in whatever way; the guard then stops what is still there. Unlike PR_SET_PDEATHSIG it reaches whole
process groups and works on macOS.

The process runs this file alone (`python -S -E guard.py`), so it imports nothing of ours.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time

GRACE_SECONDS = 5.0


class Guard:
    """The supervisor's end of the pipe. A child is named by its pid, which is also its process group."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._children: dict[int, int] = {}

    def add(self, pid: int, stop_signal: int) -> None:
        self._children[pid] = stop_signal
        self._tell(f"+{pid} {int(stop_signal)}\n")

    def remove(self, pid: int) -> None:
        if self._children.pop(pid, None) is not None:
            self._tell(f"-{pid} 0\n")

    def close(self) -> None:
        """End the guard; children that were not removed are stopped by it."""
        if self._process is not None:
            os.close(self._pipe)
            self._process.wait()
            self._process = None

    def _tell(self, line: str) -> None:
        if self._process is None or self._process.poll() is not None:
            line = self._open()
        os.write(self._pipe, line.encode())

    def _open(self) -> str:
        """Start a guard (again), and say what it has to be told first."""
        if self._process is not None:
            os.close(self._pipe)
        reading, self._pipe = os.pipe()
        command = [sys.executable, "-S", "-E", __file__]
        self._process = subprocess.Popen(command, stdin=reading, start_new_session=True)
        os.close(reading)
        return "".join(f"+{pid} {int(number)}\n" for pid, number in self._children.items())


def stop_groups(children: dict[int, int], seconds: float = GRACE_SECONDS) -> None:
    """Send each process group its signal, wait up to `seconds`, then SIGKILL what is left."""
    for pid, number in children.items():
        _signal_group(pid, number)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(_signal_group(pid, 0) for pid in children):
        time.sleep(0.05)
    for pid in children:
        _signal_group(pid, signal.SIGKILL)


def _signal_group(pid: int, number: int) -> bool:
    """Whether the group was there to be signalled."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
        return True
    return False


def _main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    children: dict[int, int] = {}
    for line in sys.stdin.buffer:
        pid, stop_signal = int(line[1:].split()[0]), int(line.split()[1])
        if line.startswith(b"+"):
            children[pid] = stop_signal
        else:
            children.pop(pid, None)
    stop_groups(children)


if __name__ == "__main__":
    _main()
