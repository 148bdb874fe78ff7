"""Tells this worker which of its calls to leave (rule L11).

One small question for the whole process, twice a second, to a table that is empty as a rule: a request costs nothing
by it, and a wish is heard within half a second without Redis or Kafka.
"""

import asyncio

import structlog

from agents.infer.caller import Caller
from domain.errors import Unavailable
from domain.ports import Ledger

log = structlog.get_logger("infer")

EVERY = 0.5


async def keep_listening(ledger: Ledger, caller: Caller) -> None:
    """Until cancelled. A wish that is not heard here is met when the request ends, waits, or its worker dies."""
    while True:
        await asyncio.sleep(EVERY)
        try:
            await listen(ledger, caller)
        except Unavailable as error:
            log.warning("cancellations_not_heard", reason=str(error))
        except Exception:
            log.exception("fault", stage="infer", what="cancellations")


async def listen(ledger: Ledger, caller: Caller) -> None:
    """Leave what is to be left now. Raises Unavailable."""
    caller.abandon(frozenset(await ledger.abandoned()))
