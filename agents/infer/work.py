"""One request in the hands of infer, and what may come of an attempt at it. Data only."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.ledger.results import Called, Ending, Spent
from domain.output.recovery import UNUSED, Used
from domain.output.schema import OutputSchema
from domain.routing.model import Alias, Deployment, Price
from topics.call import PromptCall

NOWHERE = Deployment("none/none", "none", "none", "openai", "", Price("none", Decimal(0), Decimal(0)))
"""The deployment of work that ends without a call."""
_NOWHERE = Alias((NOWHERE,))


@dataclass(slots=True)
class Work:
    """A taken request: its attempt number `attempt` is recorded as started under `epoch`.

    `unheard` are the usage records of earlier attempts whose outcome nobody heard of; `term` is the lease's (rule L6).
    `route` is what its model stands for, `tried` the deployments that failed in this run, `used` is what was spent of
    its repair budget.
    reserved: money is held for this attempt. risked: what earlier calls of unknown outcome may have cost, where the
    request limits its cost.
    """

    call: PromptCall
    run: int
    epoch: int
    attempt: int
    deployment: Deployment
    schema: OutputSchema | None
    messages: list[dict[str, Any]]
    deadline: datetime | None
    spent: Spent
    unheard: tuple[bytes, ...] = ()
    term: int = 0
    route: Alias = _NOWHERE
    tried: tuple[str, ...] = ()
    used: Used = UNUSED
    reserved: bool = False
    risked: Decimal = Decimal(0)


@dataclass(slots=True)
class Finish:
    """The run is over; `called` is None where no call was made."""

    ending: Ending
    called: Called | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """The run waits `after` seconds; reason is one of Park's."""

    after: float
    reason: str
    called: Called


@dataclass(frozen=True, slots=True)
class Again:
    """It is asked for again in the same epoch, as `next` says (its attempt is not begun).

    otherwise: the step where that cannot be paid.
    """

    called: Called
    next: Work
    otherwise: Finish | Later


Step = Finish | Later | Again
