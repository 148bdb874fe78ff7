"""The supervisor, with small programs of our own in place of engines: real processes, signals and files."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ops.local.instance import Instance, ProcessState, is_alive, is_running, read_state
from ops.local.ports import is_free
from ops.local.program import Command, Group, Program, StackError, answers, wait_until
from ops.local.supervisor import Supervisor, serve

SERVER = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
TELLING = """
import signal, sys, time
def stop(*_):
    open(sys.argv[1], "a").write(sys.argv[2])
    sys.exit()
signal.signal(signal.SIGTERM, stop)
open(sys.argv[3], "w")
time.sleep(600)
"""
STUBBORN = "import signal,time; signal.signal(signal.SIGTERM,signal.SIG_IGN); print('up',flush=True); time.sleep(600)"


@pytest.fixture
def instance(tmp_path):
    opened = Instance(tmp_path / "data")
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def free_port():
    return next(port for port in range(19_000, 19_999) if is_free(port))


async def yes():
    return True


def python(name, code, *arguments, ready=yes, **more):
    return Program(name, (sys.executable, "-c", code, *map(str, arguments)), dict(os.environ), ready, **more)


async def serves(port):
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return True


async def test_a_program_that_dies_is_started_again_on_its_port(instance, free_port):
    supervisor = Supervisor(instance, lambda line: None)
    program = python("web", SERVER, free_port, ready=lambda: serves(free_port))
    await supervisor.start([Group(programs=(program,))])
    try:
        row = instance.state.processes[0]
        first = row.pid
        os.kill(first, signal.SIGKILL)

        async def is_back():
            return row.state == "running" and row.restarts == 1

        assert await wait_until(is_back, seconds=15)
        assert row.pid != first
        assert await serves(free_port)
    finally:
        await supervisor.stop()
    assert not is_alive(row)
    assert is_free(free_port)


async def test_a_program_is_started_again_when_there_is_no_room_for_notes_or_logs(instance):
    supervisor = Supervisor(instance, lambda line: None)
    program = python("sleeper", "import time; time.sleep(600)")
    try:
        await supervisor.start([Group(programs=(program,))])
        (row,) = instance.state.processes
        before = row.pid
        log = instance.log_path("sleeper")
        (instance.data / "state.json.new").mkdir()
        log.unlink()
        log.mkdir()
        os.kill(before, signal.SIGKILL)
        await asyncio.sleep(1.0)
        assert row.pid is None
        log.rmdir()
        async with asyncio.timeout(10):
            while row.pid in (None, before):
                await asyncio.sleep(0.05)
        assert is_alive(row)
    finally:
        await supervisor.stop()
        (instance.data / "state.json.new").rmdir()


async def test_a_cancellation_that_meets_the_answer_of_a_probe_is_heard():
    served = asyncio.Event()

    async def probe():
        await served.wait()
        return True

    for turns in range(6):
        served.clear()
        asking = asyncio.create_task(answers(probe))
        await asyncio.sleep(0.01)
        served.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        if asking.cancel():
            with pytest.raises(asyncio.CancelledError):
                await asking


async def test_a_program_that_does_not_come_up_is_reported_with_the_end_of_its_log(instance):
    supervisor = Supervisor(instance, lambda line: None)
    program = python("broken", "raise SystemExit('no such broker')", ready=lambda: serves(1))
    with pytest.raises(StackError, match=r"broken ended with 1.*\n.*no such broker"):
        await supervisor.start([Group(programs=(program,))])
    await supervisor.stop()


async def test_a_program_that_never_serves_is_given_up_after_its_time(instance):
    supervisor = Supervisor(instance, lambda line: None)
    program = python("silent", "import time; time.sleep(600)", ready=lambda: serves(1), start_seconds=0.2)
    with pytest.raises(StackError, match="silent does not serve"):
        await supervisor.start([Group(programs=(program,))])
    await supervisor.stop()
    assert not is_alive(instance.state.processes[0])


async def test_a_command_that_fails_stops_the_start(instance):
    supervisor = Supervisor(instance, lambda line: None)
    command = Command("migrate", (sys.executable, "-c", "raise SystemExit('no database')"), {})
    never = python("never", "import time; time.sleep(600)")
    with pytest.raises(StackError, match=r"`migrate` ended with 1.*\n.*no database"):
        await supervisor.start([Group(commands=(command,)), Group(programs=(never,))])
    await supervisor.stop()
    assert [row.state for row in instance.state.processes] == ["waiting"]


async def test_what_a_command_prints_is_kept_for_its_owner_alone(instance, tmp_path):
    supervisor = Supervisor(instance, lambda line: None)
    output = tmp_path / "output"
    output.touch(mode=0o644)
    await supervisor.start([Group(commands=(Command("key", (sys.executable, "-c", "print(7)"), {}, output),))])
    await supervisor.stop()
    assert output.read_text() == "7\n"
    assert output.stat().st_mode & 0o077 == 0


async def test_groups_stop_in_reverse(instance):
    trace, folder = instance.data / "trace", instance.data

    def program(name):
        async def is_up():
            return (folder / name).exists()

        return python(name, TELLING, trace, name, folder / name, ready=is_up)

    supervisor = Supervisor(instance, lambda line: None)
    await supervisor.start([Group(programs=(program("a"),)), Group(programs=(program("b"),))])
    await supervisor.stop()
    assert trace.read_text() == "ba"


async def test_who_ignores_sigterm_is_killed(instance):
    log = instance.log_path("stubborn")

    async def is_up():
        return log.exists() and "up" in log.read_text()

    supervisor = Supervisor(instance, lambda line: None)
    await supervisor.start([Group(programs=(python("stubborn", STUBBORN, ready=is_up, stop_seconds=0.2),))])
    await supervisor.stop()
    assert not is_alive(instance.state.processes[0])


def test_a_directory_in_use_is_refused_with_the_remedy(instance):
    with pytest.raises(StackError, match=rf"already in use by a running stack \(pid {os.getpid()}\).*down --data"):
        Instance(instance.data).open()


async def test_a_stack_that_fails_to_start_says_so_in_its_state(instance):
    program = python("broken", "raise SystemExit(3)", ready=lambda: serves(1))
    with pytest.raises(StackError):
        await serve(instance, [Group(programs=(program,))], lambda line: None, lambda: None)
    state = read_state(instance.data)
    assert state.phase == "failed"
    assert "broken ended with 3" in state.error


async def _supervised(data: Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fake_stack.py")), str(data)], stdout=subprocess.DEVNULL
    )

    async def is_ready():
        state = read_state(data)
        return state is not None and state.pid == process.pid and state.phase == "ready"

    assert await wait_until(is_ready, seconds=20)
    return process


async def _is_gone(row):
    async def gone():
        return not is_alive(row)

    return await wait_until(gone, seconds=10)


async def test_a_killed_supervisor_leaves_no_orphans_and_the_next_one_starts(tmp_path):
    first = await _supervised(tmp_path)
    row = read_state(tmp_path).processes[0]
    first.kill()
    first.wait()
    assert await _is_gone(row)
    assert not is_running(tmp_path)
    second = await _supervised(tmp_path)
    second.terminate()
    assert second.wait(timeout=20) == 0
    assert read_state(tmp_path).phase == "stopped"


async def test_left_overs_of_a_killed_life_are_stopped_before_the_next_one(tmp_path):
    first = await _supervised(tmp_path)
    row = read_state(tmp_path).processes[0]
    os.kill(next(child for child in _children(first.pid) if child != row.pid), signal.SIGKILL)  # its guard
    first.kill()
    first.wait()
    assert is_alive(row)
    instance = Instance(tmp_path)
    instance.open()
    instance.close()
    assert not is_alive(row)


def test_a_pid_that_belongs_to_somebody_else_now_is_left_alone(tmp_path):
    instance = Instance(tmp_path)
    instance.open()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        instance.state.processes.append(ProcessState("kafka", stranger.pid, created=1.0, state="running"))
        instance.save()
        instance.close()
        Instance(tmp_path).open()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def _children(pid):
    return [child.pid for child in psutil.Process(pid).children()]
