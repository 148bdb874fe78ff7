"""Runs what is wanted, and follows what is wanted as it changes: each by itself, none waits for another."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from agents.deliver.condition import Condition
from domain.errors import StructuredPromptError, Transient
from domain.ports import SinkBoard
from domain.sinks.model import Report

EVERY_S = 2.0
AGAIN_S = 30.0
"""Until one that could not be started, or broke, is tried again."""
log = structlog.get_logger("sources")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to run under a name.

    mark: what it is made of: with another one it is stopped and started again. run: until its condition stops it.
    vital: its fault ends the process, as one of the file; another is told, and tried again.
    """

    name: str
    mark: Any
    run: Callable[[Condition], Awaitable[None]]
    vital: bool = False


@dataclass(slots=True)
class _Running:
    wanted: Wanted
    condition: Condition
    task: "asyncio.Task[None]"


class Keeper:
    """For one process, `member`; `board` is told of what does not run."""

    def __init__(self, member: str, board: SinkBoard, again_s: float = AGAIN_S) -> None:
        self._member = member
        self._board = board
        self._again_s = again_s
        self._running: dict[str, _Running] = {}
        self._broken: dict[str, tuple[Any, str, float]] = {}
        self._stopping = asyncio.Event()

    @property
    def conditions(self) -> list[Condition]:
        return [one.condition for one in self._running.values()]

    @property
    def names(self) -> list[str]:
        return sorted(self._running)

    def stop(self) -> None:
        """Every one ends the batch in hand and commits it; then `keep` returns."""
        self._stopping.set()
        for one in self._running.values():
            one.condition.stop()

    async def keep(self, look: Callable[[], Awaitable[Sequence[Wanted]]], every_s: float = EVERY_S) -> None:
        """Until `stop`. Raises the fault of a vital one, when the others have ended."""
        try:
            while not self._stopping.is_set():
                self.follow(await look())
                await self._tell()
                await self._wait(every_s)
        finally:
            self.stop()
            await asyncio.gather(*(one.task for one in self._running.values()), return_exceptions=True)
        self._reap()

    def follow(self, wanted: Sequence[Wanted]) -> None:
        """Stop what is not wanted any more, start what is. One that changed is started when the old one has ended."""
        if self._stopping.is_set():
            return
        self._reap()
        by_name = {one.name: one for one in wanted}
        for name, one in self._running.items():
            if name not in by_name or by_name[name].mark != one.wanted.mark:
                one.condition.stop()
        self._broken = {name: told for name, told in self._broken.items() if self._still(by_name.get(name), told)}
        for name, new in by_name.items():
            if name not in self._running and name not in self._broken:
                condition = Condition(name)
                log.info("source_starts", name=name)
                self._running[name] = _Running(new, condition, asyncio.ensure_future(new.run(condition)))

    def _still(self, wanted: Wanted | None, told: tuple[Any, str, float]) -> bool:
        mark, _, until = told
        return wanted is not None and wanted.mark == mark and time.monotonic() < until

    def _reap(self) -> None:
        """Raises the fault of a vital one."""
        for name, one in list(self._running.items()):
            if not one.task.done():
                continue
            del self._running[name]
            error = None if one.task.cancelled() else one.task.exception()
            if error is None:
                log.info("source_ended", name=name)
                continue
            if one.wanted.vital:
                raise error
            reason = str(error) if isinstance(error, StructuredPromptError) else repr(error)
            log.error("source_broke", name=name, reason=reason, again_s=self._again_s)
            self._broken[name] = (one.wanted.mark, reason, time.monotonic() + self._again_s)

    async def _tell(self) -> None:
        """What does not run is told like what waits: with its reason."""
        for name, (_, reason, _) in self._broken.items():
            with suppress(Transient):
                await self._board.tell(Report(name, self._member, "waiting", detail=reason))

    async def _wait(self, seconds: float) -> None:
        """So long, until the stop, or until one has ended: what takes its place need not wait."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        waits = {stopping, *(one.task for one in self._running.values())}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
