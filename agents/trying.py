"""Waiting for a dependency of a stage that is away, as long as the stage goes on."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from agents.stage import Stage
from domain.errors import Transient

log = structlog.get_logger("stage")


class Halted(Exception):
    """The stage stops while a dependency is away: the delivery stays unacknowledged."""


async def attempt(work: Callable[[], Awaitable[None]], stage: Stage) -> None:
    """Until it returns or fails for good. A dependency that is away is waited for: that is not being stuck."""
    wait = 0.05
    while True:
        try:
            return await work()
        except Transient as error:
            stage.waited_at = time.monotonic()
            if not stage.open:
                raise Halted from error
            log.warning("dependency_away", stage=stage.policy.name, reason=str(error), wait_s=wait)
            stage.metrics.count("dependency_waits", stage=stage.policy.name)
            await asyncio.sleep(error.retry_after or wait)
            wait = min(wait * 2, 5.0)
