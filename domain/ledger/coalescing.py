"""Requests that ask the same at the same time (rule L14): what one of them is told becomes the answer of the others.

The first one taken is the *holder* of its question. The others wait behind it without a slot and without a delivery.
They are not billed: no provider was called for them.
"""

from dataclasses import dataclass
from datetime import datetime

import orjson

from domain.ledger.model import Settlement, State
from domain.ledger.results import NOTHING, Ending, finish
from domain.ledger.rules import LATE
from topics.base import parse_time
from topics.call import PromptCall


@dataclass(frozen=True, slots=True)
class Holder:
    """What a request that asks the same compares itself with; `settled_at` is None while it is unfinished."""

    state: State
    settled_at: datetime | None


def may_be_answered(holder: Holder, claimed_at: datetime) -> bool:
    """Whether the answer of a holder that is over is also that of a request claimed then.

    Later ones ask anew: how long an answer is good for is the cache's to say, which has it by then.
    """
    settled_at = holder.settled_at
    return holder.state is State.COMPLETED and settled_at is not None and claimed_at <= settled_at + LATE


def answered(call: bytes, run: int, epoch: int, answer: bytes) -> Settlement:
    """How a run ends that is given the holder's `answer`, its encoded PromptResult. The moment is the holder's."""
    found, mine = orjson.loads(answer), PromptCall.decode(call)
    ending = Ending(
        State.COMPLETED,
        found["output"],
        cached="coalesced",
        provider=found["provider"],
        model=found["model"],
        saved_usd=found["usage"]["cost_usd"],
    )
    ending, result = finish(mine, run, ending, NOTHING, parse_time(found["completed_at"]))
    return Settlement(mine.tenant, mine.id, run, epoch, ending.state, result, "infer", ending.code)
