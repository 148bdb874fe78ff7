"""What is tried after an answer that broke its schema, in which order, and how much of it. Data in, decision out.

Syntax is mended without a call (mend.py, within the verdict); then it is asked again with the failing places; then the
next stronger model of the alias is asked, once. An answer that was cut by its limit is asked for once more with a
higher one, never with the same. A refusal is an answer: nothing follows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

from domain.ledger.model import Attempt
from domain.routing.model import Deployment

Move = Literal["re_ask", "escalate", "more_tokens"]
RAISE = 4
"""By how much a limit is raised at most."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be done for one run; `re_asks` is a number of calls."""

    syntax: bool = True
    re_asks: int = 2
    escalate: bool = True

    def narrowed(self, wish: Mapping[str, Any] | None) -> "Budget":
        """As the request wants it (`repair`); what it does not name stays."""
        return replace(self, **wish) if wish else self


@dataclass(frozen=True, slots=True)
class Used:
    """What was done for the run so far. `max_tokens`: the limit that was raised to, None while it was not."""

    re_asks: int = 0
    escalated: bool = False
    max_tokens: int | None = None


UNUSED = Used()
"""Before the first answer."""


def stronger(choices: Sequence[Deployment], than: Deployment, at: datetime) -> Deployment | None:
    """The next deployment of an alias that costs more to write at that time: the order is the operator's, the price is
    strength."""
    names = [one.name for one in choices]
    later = choices[names.index(than.name) + 1 :] if than.name in names else ()
    price = than.price_at(at).output
    return next((one for one in later if one.price_at(at).output > price), None)


def raised(deployment: Deployment, limit: int | None) -> int | None:
    """What to try after `limit` (None: the deployment's default) cut an answer; None where no more is possible."""
    cut = limit or deployment.max_output_tokens
    most = min(deployment.output_limit, RAISE * cut)
    return most if most > cut else None


def move(outcome: str, budget: Budget, used: Used, escalates: bool) -> Move | None:
    """The next thing to try; None ends it. `escalates`: there is a stronger model."""
    if outcome == "length":
        return "more_tokens" if used.max_tokens is None else None
    if outcome != "invalid_output" or used.escalated:
        return None
    if used.re_asks < budget.re_asks:
        return "re_ask"
    return "escalate" if budget.escalate and escalates else None


def used_before(attempts: Sequence[Attempt], choices: Sequence[Deployment], limit: int | None) -> Used:
    """The same of a run that comes back after a wait, from its attempts.

    choices: the deployments of its alias. limit: the default that its first call had, None: the deployment's.
    """
    invalid = sum(one.outcome == "invalid_output" for one in attempts)
    cut = any(one.outcome == "length" for one in attempts)
    escalated = escalated_to(attempts, choices) is not None
    return Used(invalid - escalated, escalated, raised(choices[0], limit) if cut else None)


def escalated_to(attempts: Sequence[Attempt], choices: Sequence[Deployment]) -> Deployment | None:
    """The stronger model that a run was given since the answers of a weaker one broke its schema; None: none yet.

    A failover changes the deployment as well, but after a failure; and what began beside it follows from nothing.
    """
    by_name = {(one.provider, one.model): one for one in choices}
    for one, after in pairwise(attempts):
        begun = by_name.get((one.provider, one.model))
        then = by_name.get((after.provider, after.model))
        follows = one.epoch == after.epoch and one.finished_at is not None and one.finished_at <= after.started_at
        if one.outcome == "invalid_output" and follows and begun and then and begun is not then:
            return then if then == stronger(choices, begun, after.started_at) else None
    return None
