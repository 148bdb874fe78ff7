"""Stops one thread of a process from outside, as a hang in it would: ptrace, on Linux. The others go on."""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SEIZE, INTERRUPT, DETACH, KILLED = 0x4206, 0x4207, 17, 3
ALL_THREADS = 0x40000000
"""__WALL: wait for a thread that is not our child."""
EPOLL_WAITS = {"x86_64": ("232", "281", "441"), "aarch64": ("22", "441")}


def supported() -> bool:
    return sys.platform == "linux" and os.uname().machine in EPOLL_WAITS


def consumer_thread(pid: int) -> int:
    """The thread of a worker that runs the consumer's event loop: of Python's own, beside the main one, the only one
    in epoll."""
    calls = EPOLL_WAITS[os.uname().machine]
    threads = Path(f"/proc/{pid}/task")
    python = (threads / str(pid) / "comm").read_text()
    found = [
        int(thread.name)
        for thread in threads.iterdir()
        if int(thread.name) != pid
        and (thread / "comm").read_text() == python
        and (thread / "syscall").read_text().split()[0] in calls
    ]
    assert len(found) == 1, f"threads of {pid} in an event loop beside the main one: {found}"
    return found[0]


@contextmanager
def stopped(thread: int) -> Iterator[None]:
    """While the block runs `thread` does nothing; a process that exits meanwhile exits."""
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (SEIZE, INTERRUPT):
        if libc.ptrace(request, thread, None, None) == -1:
            raise OSError(ctypes.get_errno(), f"ptrace refuses thread {thread}")
    os.waitpid(thread, ALL_THREADS)
    reaper = threading.Thread(target=_reap, args=(thread,), daemon=True)
    reaper.start()
    try:
        yield
    finally:
        libc.ptrace(DETACH, thread, None, None)
        reaper.join(1.0)


def _reap(thread: int) -> None:
    """A process whose thread is held is not gone before its holder has noticed."""
    with suppress(ChildProcessError):
        os.waitpid(thread, ALL_THREADS)
