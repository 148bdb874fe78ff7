"""What intake hears on prompt.control: which answers are out of date (rule L13)."""

import asyncio

import structlog

from domain.caching.generations import Generations
from domain.errors import StructuredPromptError
from domain.metrics import Metrics
from domain.ports import Changes

log = structlog.get_logger("intake")
AGAIN_S = 1.0


async def begin_hearing(changes: Changes, generations: Generations) -> None:
    """Everything that was said before: without it an answer that is out of date could be given. Raises Unavailable."""
    for message in await changes.so_far():
        generations.hear(message)


async def keep_hearing(changes: Changes, generations: Generations, metrics: Metrics) -> None:
    """Until cancelled. A message is heard well within a second while the broker can be reached."""
    while True:
        try:
            for message in await changes.more():
                metrics.count("changes_heard", known="yes" if generations.hear(message) else "no")
        except StructuredPromptError as error:
            log.warning("changes_not_heard", reason=str(error))
            await asyncio.sleep(AGAIN_S)
