"""The attempt that follows an answer which was not valid: to whom, in which words, under which limit. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from agents.infer.work import Work
from domain.ledger.results import Ending, failed
from domain.output import reask
from domain.output.recovery import Budget, Move, Used, move, raised, stronger
from domain.output.verdict import Verdict
from domain.routing.model import Deployment
from topics.call import PromptCall


@dataclass(frozen=True, slots=True)
class Following:
    """What is tried next, and the work of it."""

    move: Move
    work: Work


def again(work: Work, answer: str, verdict: Verdict, budget: Budget, now: datetime) -> Following | None:
    """None where nothing is left to try."""
    further = stronger(work.route.deployments, work.deployment, now)
    chosen = move(verdict.outcome, budget, work.used, further is not None)
    if chosen == "more_tokens":
        limit = _higher(work)
        return Following(chosen, replace(work, used=replace(work.used, max_tokens=limit))) if limit else None
    if chosen == "re_ask":
        messages = reask.messages(work.call.messages, answer, verdict.problems)
        used = replace(work.used, re_asks=work.used.re_asks + 1)
        return Following(chosen, replace(work, messages=messages, used=used))
    if chosen == "escalate" and further is not None:
        # the question as it was: the wrong answers of a weaker model would only lead the stronger one
        used = replace(work.used, escalated=True)
        return Following(chosen, replace(work, deployment=further, messages=work.call.messages, used=used))
    return None


def _higher(work: Work) -> int | None:
    """A limit above the one that cut the answer, unless that is the request's own."""
    limit = work.call.parameters.get("max_tokens")
    return raised(work.deployment, limit) if limit is None or work.call.limit_is_default else None


def given_up(work: Work, verdict: Verdict) -> Ending:
    """How a run ends whose last answer was not valid."""
    if verdict.outcome == "refused":
        return failed("refused", verdict.problems[0].message)
    if verdict.outcome == "length":
        cut = "the answer was cut at max_tokens; allow more tokens or ask for less"
        return replace(failed("invalid_output", cut, verdict.problems), output=verdict.value)
    # of several calls some may have failed: only of the last one it is known that it broke the schema
    calls = f"after {work.attempt} calls, the last answer breaks" if work.attempt > 1 else "the answer breaks"
    return failed("invalid_output", f"{calls} the output schema", verdict.problems)


def limited(work: Work) -> dict[str, Any]:
    """The parameters of the call, with the limit that was raised because an answer was cut."""
    return under(work.call, work.deployment, work.used)


def under(call: PromptCall, to: Deployment, used: Used) -> dict[str, Any]:
    """The same, of a call to that deployment after so much of the repair budget was used."""
    limit, parameters = used.max_tokens, call.parameters
    if limit is None:
        return parameters
    return {**parameters, "max_tokens": min(limit, to.output_limit or to.max_output_tokens)}
