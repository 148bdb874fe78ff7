"""One attempt at a provider and what follows from it: finish, ask again, or wait. Writes nothing."""

import asyncio
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from agents.contract import PATIENCE, PROOF, Outside
from agents.infer.again import again, given_up, limited
from agents.infer.leaving import Abandoned, Calls, Key
from agents.infer.pacing import Pace
from agents.infer.purse import Purse
from agents.infer.routes import Routes, may_move
from agents.infer.speech import Speaker, Speech
from agents.infer.till import Till, unsent
from agents.infer.ways import LONGEST_S
from agents.infer.work import Again, Finish, Later, Step, Work
from domain.budgets.rules import may_have_cost
from domain.errors import ModelError
from domain.ledger.model import State
from domain.ledger.results import Called, Ending, call_id, cancelled, failed, overdue
from domain.metrics import Metrics
from domain.output.recovery import Budget
from domain.output.verdict import Verdict, judge
from domain.ports import Model
from domain.routing.model import Deployment, ModelCall, ModelReply
from domain.routing.retry import GiveUp, Retry, RetryPolicy, decide
from topics.call import PromptCall


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """Bounds of a run; `timeout` in seconds, `repair` for requests that say nothing of it, `jitter` within [0, 1).

    `slots` of the worker, shared by the deployments; 0 shares none.
    """

    retry: RetryPolicy
    repair: Budget
    timeout: float
    jitter: Callable[[], float] = random.random
    slots: int = 0


class Caller:
    """Calls the model once and judges what came of it."""

    def __init__(
        self,
        model: Model,
        policy: CallPolicy,
        metrics: Metrics,
        purse: Purse,
        pace: Pace,
        speaker: Speaker | None = None,
    ) -> None:
        self.outside = Outside()
        self.pace = pace
        self.routes = Routes(policy.slots, now=purse.clock)
        self._model = model
        self._policy = policy
        self.metrics = metrics
        self._clock = purse.clock
        self._purse = purse
        self._speaker = speaker
        self._till = Till(metrics)
        self._calls = Calls()
        self._cancelled: Collection[Key] = ()

    def abandon(self, runs: Collection[Key]) -> None:
        """Leave the calls of these (tenant, id, run), and begin no others of them. `runs` replaces those before."""
        self._cancelled = runs
        for key in runs:
            self._calls.leave(key)

    def leave(self, work: Work, task: "asyncio.Task[Any]") -> None:
        """Leave the call that `task` makes for this work."""
        self._calls.leave_one(_key(work), task)

    async def token(self, deployment: Deployment, call: PromptCall, patience: float | None = None) -> float:
        """0.0: the call may be made; otherwise it has to wait for so many seconds as a row."""
        if self.pace.free(deployment):
            return 0.0
        with self.outside.wait(LONGEST_S, PROOF if self.pace.proving(deployment) else PATIENCE):
            return await self.pace.enter(deployment, call, patience)

    def speech(self, work: Work) -> Speech | None:
        """Where the text of its answer goes while it is written; None where nobody reads it then."""
        return self._speaker.speech(work.call) if self._speaker and work.call.streams else None

    async def attempt(self, work: Work, speech: Speech | None = None) -> Step:
        sent_at = self._clock()
        if (ending := self._over(work, sent_at, "before the call")) is not None:
            return Finish(_named(work, ending), unsent(work, sent_at))
        started = time.perf_counter()
        self.routes.sent(work.deployment)
        try:
            with self.outside.wait(self._policy.timeout):
                reply = await self._calls.make(_key(work), self._model.call(self._model_call(work, sent_at, speech)))
        except Abandoned:
            seconds = time.perf_counter() - started
            self.routes.left(work.deployment, seconds)
            called = self._till.called(work, "unknown", sent_at, seconds, None)
            called.frees = False
            return Finish(_named(work, cancelled(work.attempt)), called)
        except ModelError as error:
            seconds = time.perf_counter() - started
            self.pace.failed(work.deployment, error, seconds)
            self.routes.failed(work.deployment, error)
            called = self._till.called(work, error.outcome, sent_at, seconds, error.provider_request_id)
            called.frees = work.reserved and not may_have_cost(error)
            return self._after_error(work, error, called, speech)
        seconds = time.perf_counter() - started
        self.pace.answered(work.deployment, reply, seconds)
        self.routes.answered(work.deployment, seconds)
        return self._judged(work, reply, sent_at, seconds, speech)

    def _judged(self, work: Work, reply: ModelReply, sent_at: datetime, seconds: float, speech: Speech | None) -> Step:
        budget = self._policy.repair.narrowed(work.call.repair)
        verdict = judge(reply, work.schema, budget.syntax)
        called = self._till.answered(work, verdict.outcome, reply, sent_at, seconds)
        called.repaired = verdict.repaired
        if speech is not None and speech.said and verdict.outcome != "ok":
            # what was said cannot be taken back: no other answer follows it
            return Finish(_named(work, given_up(work, verdict)), called)
        return self._after_reply(work, reply, verdict, called, budget)

    def not_sent(self, work: Work, after: float, reason: str) -> Later:
        """The step of an attempt that was recorded but may not be made now."""
        return Later(after, reason, unsent(work, self._clock()))

    def _over(self, work: Work, now: datetime, when: str) -> Ending | None:
        """Why no further call may be made; None where it may. This attempt counts as one."""
        if self._cancelled and _key(work) in self._cancelled:
            return cancelled(work.attempt)
        if work.deadline is not None and now >= work.deadline:
            return overdue(work.attempt, when)
        if work.call.max_cost_usd is not None and (why := self._purse.beyond(work, work.spent.cost_usd)) is not None:
            return failed("provider_error", f"the calls so far brought no answer, and {why}")
        return None

    def _model_call(self, work: Work, now: datetime, speech: Speech | None) -> ModelCall:
        timeout = min(self._policy.timeout, work.deployment.timeout_s)
        if work.deadline is not None:
            timeout = min(timeout, max(0.001, (work.deadline - now).total_seconds()))
        return ModelCall(
            work.deployment,
            work.messages,
            work.call.output_schema,
            limited(work),
            work.call.provider_options,
            call_id(work.call.tenant, work.call.id, work.run),
            timeout,
            speech.say if speech else None,
            work.call.traceparent,
        )

    def _after_reply(self, work: Work, reply: ModelReply, verdict: Verdict, called: Called, budget: Budget) -> Step:
        deployment = work.deployment
        if verdict.outcome == "ok":
            if verdict.repaired:
                self.metrics.count("repairs", move="syntax", model=deployment.model)
            done = Ending(State.COMPLETED, verdict.value, provider=deployment.provider, model=deployment.model)
            return Finish(done, called)
        following = None
        if work.attempt < self._policy.retry.attempts:
            following = again(work, reply.text, verdict, budget, self._clock())
        otherwise = _named(work, given_up(work, verdict))
        if following is None:
            return Finish(otherwise, called)
        if (why := self._purse.beyond(following.work, work.spent.cost_usd + called.cost_usd)) is not None:
            return Finish(replace(otherwise, message=f"{otherwise.message}; {why}"), called)
        if (ending := self._over(work, self._clock(), "before it was asked again")) is not None:
            return Finish(_named(work, ending), called)
        self.metrics.count("repairs", move=following.move, model=following.work.deployment.model)
        return Again(called, following.work, Finish(otherwise, called))

    def _after_error(self, work: Work, error: ModelError, called: Called, speech: Speech | None) -> Step:
        if work.deadline is not None and self._clock() >= work.deadline:
            return Finish(_named(work, overdue(work.attempt, "during the call")), called)
        here = self._after_failure(work, error, called, speech is not None and bool(speech.said))
        if (elsewhere := self._elsewhere(work, error, speech)) is not None:
            self.metrics.count("failovers", provider=work.deployment.provider, model=work.deployment.model)
            return Again(called, elsewhere, here)
        return here

    def _after_failure(self, work: Work, error: ModelError, called: Called, said: bool) -> Finish | Later:
        """What follows where no other deployment is asked. What was said cannot be taken back."""
        fail = work.call.on_unknown_outcome == "fail"
        decision = decide(error, work.attempt, self._policy.retry, fail, self._policy.jitter())
        if isinstance(decision, Retry) and said:
            decision = GiveUp("provider_timeout" if error.outcome == "timeout" else "provider_error")
        if isinstance(decision, Retry):
            return Later(decision.after, "retry", called)
        return Finish(_named(work, failed(decision.code, str(error))), called)

    def _elsewhere(self, work: Work, error: ModelError, speech: Speech | None) -> Work | None:
        """The same question to another deployment of its alias, at once; None where none can take it."""
        said = speech is not None and speech.said
        if said or len(work.route.deployments) < 2 or work.attempt >= self._policy.retry.attempts:
            return None
        if not may_move(error, work.call.on_unknown_outcome == "fail") or _key(work) in self._cancelled:
            return None
        tried = (*work.tried, work.deployment.name)
        other = self.routes.other(work.route, work.call, tried, error)
        if other is None:
            return None
        further = replace(work, deployment=other, messages=work.call.messages, tried=tried)
        if work.call.max_cost_usd is not None and may_have_cost(error):
            further.risked += self._purse.risk(work, 1)
        return None if self._purse.beyond(further, work.spent.cost_usd) else further


def _key(work: Work) -> Key:
    return (work.call.tenant, work.call.id, work.run)


def _named(work: Work, ending: Ending) -> Ending:
    return Ending(
        ending.state,
        ending.output,
        ending.code,
        ending.message,
        ending.problems,
        None,
        work.deployment.provider,
        work.deployment.model,
    )
