"""Start in the background, and stop, from another process than the supervisor's."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .child import last_lines
from .instance import ProcessState, already_running, is_alive, is_running, log_path, read_state, stop_left_overs
from .program import StackError

ERROR = re.compile(r"^error: ", re.M)  # how the command line begins its last word when it fails
COMMAND = re.compile(r"(?<![\w/.-])structured-prompt (?=[a-z])")
STOP_SECONDS = 90  # drains of the workers, then the engines


def start_detached(data: Path, command: Sequence[str], relay: Callable[[str], None]) -> None:
    """Run `command` (an `up` in the foreground) as a session of its own; returns once it is ready.

    What it prints goes to its log and to `relay`. Raises StackError when it ends instead.
    """
    if is_running(data):
        raise already_running(data)
    log = log_path(data, "supervisor")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        with log.open("rb") as reading:
            while process.poll() is None and not _is_ready(data, process.pid):
                relay(_without_error(reading.read()))
                time.sleep(0.05)
            relay(_without_error(reading.read()))
    except BaseException:
        process.terminate()
        raise
    if process.poll() is not None:
        raise StackError(ERROR.split(last_lines(log, 40), 1)[-1])


def _without_error(output: bytes) -> str:
    """What it printed, less its last word, which becomes our own error."""
    return ERROR.split(output.decode(errors="replace"), 1)[0]


def _is_ready(data: Path, pid: int) -> bool:
    state = read_state(data)
    return state is not None and state.pid == pid and state.phase == "ready"


def stop(data: Path) -> bool:
    """Stop the stack in `data` and wait for its end; False when none ran. Raises StackError when it does not end."""
    if not is_running(data):
        if not data.exists():
            return False
        stop_left_overs(data)
        return False
    state = read_state(data)
    if state is None or not is_alive(ProcessState("supervisor", state.pid, state.created)):
        raise StackError(f"{data} is locked by a process that wrote no state; it may be starting: try again")
    os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while is_running(data):
        if time.monotonic() > deadline:
            raise StackError(f"the supervisor (pid {state.pid}) does not end: see {log_path(data, 'supervisor')}")
        time.sleep(0.05)
    return True


def console(*words: str) -> list[str]:
    """The command line of our own console with `words`."""
    return [sys.executable, "-m", "cli.main", *words]


def typed(text: str) -> str:
    """`text` with our commands as the caller's shell finds them: what `make` installs is not on its PATH."""
    if shutil.which("structured-prompt"):
        return text
    return COMMAND.sub(f"{Path(sys.executable).with_name('structured-prompt')} ", text)
