"""The watchdog of a real process that hangs in ways only a process can (rule S6)."""

import subprocess
import sys

from connectors.telemetry.watchdog import EXIT_CODE

PROGRAM = """
import asyncio, re, sys
from connectors.telemetry import logs
from connectors.telemetry.watchdog import Patience, Watchdog

async def main():
    logs.set_up(stage="test")
    Watchdog(patience=Patience(0.3, 0.5, {force})).start()
    await asyncio.sleep(0.1)
    {hang}

asyncio.run(main())
"""
KEEPS_THE_INTERPRETER = "re.match('(a+)+$', 'a' * 64 + 'b')"
WRITES_WHERE_NOBODY_READS = "sys.stderr.write('x' * 1_000_000)"


def hanging(hang: str, force: float) -> "subprocess.Popen[bytes]":
    program = PROGRAM.format(hang=hang, force=force)
    return subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)


def test_S6_code_that_never_lets_go_of_the_interpreter_is_ended_and_shown() -> None:
    process = hanging(KEEPS_THE_INTERPRETER, 1.0)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"in match" in said


def test_S6_a_full_pipe_behind_the_log_holds_up_no_end() -> None:
    process = hanging(WRITES_WHERE_NOBODY_READS, 60.0)
    assert process.wait(30) == EXIT_CODE


def test_S6_a_stuck_process_shows_where_it_is() -> None:
    process = hanging("__import__('time').sleep(60)", 60.0)
    _, said = process.communicate(timeout=30)
    assert process.returncode == EXIT_CODE
    assert b"event loop has not turned" in said
    assert b"in main" in said
