"""Is the stack of a data directory up, half up, or only said to be? What `doctor` knows of its processes."""

from pathlib import Path

from .check import Check
from .instance import StackState, created, is_alive, is_running, read_state
from .status import Row, rows


async def look(data: Path) -> list[Check]:
    """One check of the stack as a whole, and one of each process that is not well."""
    state = read_state(data)
    if state is None or state.phase == "stopped":
        return [Check("stack", "ok", f"nothing runs in {data}")]
    if not is_running(data):
        return [_left(data, state)]
    troubled = [_of(row, data) for row in await rows(data) if row.state != "external" and row.health != "healthy"]
    if state.phase != "ready":
        words = f"the stack is {state.phase}: {_waiting(state)}"
        return [Check("stack", "fail", words, f"structured-prompt logs --data {data}"), *troubled]
    whole = Check("stack", "ok", f"{len(state.processes)} processes at {state.url}")
    return troubled or [whole]


def _left(data: Path, state: StackState) -> Check:
    """What a supervisor left that is no more: a pid of nobody's, perhaps processes that still run."""
    if state.phase == "failed":
        reason = state.error or "a process did not start"
        return Check("stack", "fail", f"the last start failed: {reason}", f"structured-prompt logs --data {data}")
    alive = [row.name for row in state.processes if is_alive(row)]
    still = f", while {', '.join(alive)} still run" if alive else ""
    gone = "is gone" if created(state.pid) is None else "belongs to another program"
    found = f"{data}/state.json tells of a supervisor whose pid {state.pid} {gone}{still}"
    return Check("stack", "fail", found, f"structured-prompt up --data {data}, which ends what is left and starts anew")


def _waiting(state: StackState) -> str:
    names = [row.name for row in state.processes if row.state != "running"]
    return f"{', '.join(names)} not up yet" if names else "not everything is up yet"


def _of(row: Row, data: Path) -> Check:
    what = f"{row.name} (pid {row.pid}) runs and does not answer" if row.pid else f"{row.name} is {row.state}"
    often = f", after {row.restarts} restarts" if row.restarts else ""
    logs = f"structured-prompt logs {row.name} --data {data}"
    # only what served once and went silent: a process that starts takes its time, and one that ended starts by itself
    mends = f"kill -9 {row.pid}, and it is started anew; why: {logs}" if row.pid and row.state == "running" else logs
    return Check(row.name, "fail", what + often, mends)
