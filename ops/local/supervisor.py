"""One supervisor for all processes of a data directory.

It starts groups in order, the steps of a group side by side, each gated by its health; it restarts what dies, with the
same command line and a back-off; it stops the groups in reverse, SIGTERM first, SIGKILL after the time a program has.

No library: the known ones (supervisord, circus, honcho) know neither health gates nor groups, and the part that is hard
(no orphans, identity of pids, account switching) would be ours all the same.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence

from .child import Child, last_lines
from .guard import Guard
from .instance import Instance, ProcessState
from .program import Command, Engine, Group, Program, StackError

Say = Callable[[str], None]


class Supervisor:
    """Runs groups in the data directory of `instance`, which is open (locked)."""

    def __init__(self, instance: Instance, say: Say) -> None:
        """`say` gets one line a step, for whoever watches."""
        self._instance = instance
        self._say = say
        self._guard = Guard()
        self._groups: list[list[Child]] = []
        self._keepers: set[asyncio.Task[None]] = set()

    async def start(self, groups: Sequence[Group]) -> None:
        """Start every group. Raises StackError when a step does not come up; `stop` is the caller's duty then too."""
        self._instance.state.processes = [ProcessState(name) for group in groups for name in group.names()]
        for group in groups:
            self._groups.append([])
            engines = [self._start_engine(engine) for engine in group.engines]
            programs = [self._start_program(program) for program in group.programs]
            await _side_by_side([*engines, *programs, *(self._run(command) for command in group.commands)])

    async def stop(self) -> None:
        """Stop everything, the last group first."""
        for task in self._keepers:
            task.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for group in reversed(self._groups):
            await asyncio.gather(*(child.stop() for child in group))
        self._guard.close()

    async def _start_engine(self, engine: Engine) -> None:
        await asyncio.to_thread(engine.prepare)
        await self._start_program(engine.program())

    async def _start_program(self, program: Program) -> None:
        row = next(row for row in self._instance.state.processes if row.name == program.name)
        child = Child(program, row, self._instance, self._guard)
        self._groups[-1].append(child)
        began = asyncio.get_running_loop().time()
        await child.start()
        self._say(f"{program.name} up after {asyncio.get_running_loop().time() - began:.1f} s")
        keeper = asyncio.create_task(child.keep(), name=f"keep {program.name}")
        self._keepers.add(keeper)

    async def _run(self, command: Command) -> None:
        """Run a command to its end. Raises StackError with the end of its log when it fails or takes too long."""
        log = self._instance.log_path(command.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        if command.output:
            command.output.touch(mode=0o600)
            command.output.chmod(0o600)
        with log.open("ab") as errors, command.output.open("wb") if command.output else log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command.command,
                env=dict(command.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
            self._guard.add(process.pid, 9)
            try:
                async with asyncio.timeout(command.seconds):
                    code: int | None = await process.wait()
            except TimeoutError:
                code = None
            finally:
                if process.returncode is None:
                    process.kill()
                self._guard.remove(process.pid)
        if code != 0:
            how = f"takes more than {command.seconds:.0f} s" if code is None else f"ended with {code}"
            raise StackError(f"`{command.name}` {how}; the end of {log}:\n{last_lines(log)}")
        self._say(f"{command.name} done")


async def _side_by_side(steps: Sequence[Coroutine[None, None, None]]) -> None:
    """Run all of them; the first that fails cancels the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(step)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def serve(instance: Instance, groups: Sequence[Group], say: Say, when_ready: Callable[[], None]) -> None:
    """Start, call `when_ready`, stay until SIGINT, SIGTERM or SIGHUP, stop. Raises StackError when a start fails."""
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    supervisor = Supervisor(instance, say)
    starting = asyncio.create_task(supervisor.start(groups))
    stopping = asyncio.create_task(asked_to_stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            when_ready()
            instance.enter("ready")
            await stopping
    except StackError as error:
        instance.state.error = str(error)
        raise
    finally:
        instance.enter("stopping")
        starting.cancel()
        stopping.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await supervisor.stop()
        instance.enter("failed" if instance.state.error else "stopped")
