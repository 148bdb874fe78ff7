"""What is tried after an answer that broke its schema, in which order, and how much of it. Data in, decision out.

Syntax is mended without a call (mend.py, within the verdict); then it is asked again with the failing places; then the
next stronger model of the alias is asked, once. An answer that was cut by its limit is asked for once more with a
higher one, never with the same. A refusal is an answer: nothing follows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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


def stronger(choices: Sequence[Deployment], than: Deployment) -> Deployment | None:
    """The next deployment of an alias that costs more to write: the order is the operator's, the price is strength."""
    names = [one.name for one in choices]
    later = choices[names.index(than.name) + 1 :] if than.name in names else ()
    return next((one for one in later if one.price.output > than.price.output), None)


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


def used_before(attempts: Sequence[Attempt], first: Deployment, limit: int | None) -> Used:
    """The same of a run that comes back after a wait, from its attempts.

    first: where its alias begins. limit: the default that its first call had, None: the deployment's.
    """
    invalid = [one for one in attempts if one.outcome == "invalid_output"]
    at_first = sum((one.provider, one.model) == (first.provider, first.model) for one in invalid)
    cut = any(one.outcome == "length" for one in attempts)
    return Used(at_first, len(invalid) > at_first, raised(first, limit) if cut else None)
