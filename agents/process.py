"""What one worker process is made of, how it is, and how it ends."""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents import app as faust_app
from agents.deliver.condition import Condition
from agents.departures import Departures
from agents.emit import Emitter
from agents.lateness import lateness
from agents.lease import LeaseKeeper
from agents.stage import Stage
from agents.wake.loop import Wake
from connectors.catalog import Outside
from connectors.telemetry.watchdog import Late, Watchdog, leave
from domain.health import Check, Health
from domain.settings import Settings
from domain.tracing import Tracing

_REMEDY = "deploy a version without the fault, then redrive the dead letters it left"


@dataclass(slots=True)
class Process:
    """What one worker process is made of."""

    settings: Settings
    environ: Mapping[str, str]
    outside: Outside
    emitter: Emitter
    tracing: Tracing
    departures: Departures
    stages: list[Stage] = field(default_factory=list)
    apps: list[faust_app.StageApp] = field(default_factory=list)
    lease: LeaseKeeper | None = None
    wake: Wake | None = None
    letters: Condition | None = None
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    watchdog: Watchdog | None = None
    off: dict[str, str] = field(default_factory=dict)
    """What this process does without, and why."""

    def health(self) -> Health:
        """Whether it turns, and whether it may be given work."""
        trouble = self.watchdog.trouble if self.watchdog else None
        checks = {"progress": Check(trouble is None, trouble or "")}
        for stage in self.stages:
            said = f"halted, nothing is lost: {stage.halted}; {_REMEDY}" if stage.halted else ""
            checks[stage.policy.name] = Check(stage.halted is None, said or f"{len(stage.running)} in hand")
        if self.lease is not None:
            checks["lease"] = Check(self.lease.fresh, _of_lease(self.lease))
        if self.letters is not None:
            checks |= self.letters.health().checks
        checks |= {name: Check(True, f"off: {reason}") for name, reason in self.off.items()}
        return Health(
            # a halted stage is alive: started anew, the same version would bury as many again (rule S6)
            ok=trouble is None,
            ready=all(check.ok for check in checks.values()),
            checks=checks,
        )

    def late(self) -> Late:
        """The latest piece of work, for the watchdog."""
        parts = [(stage, app.progress) for stage, app in zip(self.stages, self.apps, strict=True)]
        return Late(*lateness(parts, self.lease, self.wake, time.monotonic()))

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it beside the rest; a process whose task ended by an error leaves."""
        task = asyncio.ensure_future(work)
        task.add_done_callback(_never_silently)
        self.tasks.append(task)

    async def close(self) -> None:
        if self.letters is not None:
            self.letters.stop()
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=2.0)
        await self.emitter.close()
        await self.departures.flush()
        if self.lease is not None:
            await self.lease.stop()
        if self.watchdog is not None:
            self.watchdog.stop()
        await self.outside.stack.aclose()


def _of_lease(lease: LeaseKeeper) -> str:
    if lease.given_back:
        return "given back: others may take over what was in hand"
    return "" if lease.fresh else "not renewed: is PostgreSQL away?"


def _never_silently(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        leave(f"a task of this process ended: {error!r}")
