"""Nobody calls a provider without a token where its limit is known (rule L6): the worker's part of the fleet's pace.

A deployment that names no limit costs a look into a dictionary a call, and one question a second in the background.
Where a limit is known, what waits for it is asked for in natural batches, one Lua call for all deployments.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from agents.infer.ways import LOOK_S, Ticket, Way
from domain.errors import ModelError, Unavailable
from domain.metrics import Metrics
from domain.pacing.model import Grant, Heard, Mode
from domain.pacing.told import told
from domain.ports import Pacer
from domain.routing.model import Deployment, ModelReply
from topics.call import PromptCall

log = structlog.get_logger("infer")

MOST_A_LANE = 500
"""Calls of a lane that are asked for at once."""
CHARACTERS_A_TOKEN = 4
LATEST = "9999"
SOONER = 0.001
"""Who gave up waiting, and knows no better."""


class Pace:
    """`clock` gives seconds that only go on, `now` the time that headers may name. `worker` is this incarnation."""

    def __init__(
        self,
        pacer: Pacer,
        worker: str,
        metrics: Metrics,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pacer = pacer
        self._worker = worker
        self._metrics = metrics
        self._now = now
        self._clock = clock
        self._ways: dict[str, Way] = {}
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    def free(self, deployment: Deployment) -> bool:
        """Whether a call may go at once, since the deployment names no limit."""
        way = self._ways.get(deployment.name)
        if way is None or way.mode is not Mode.OPEN:
            return False
        late = self._clock() - way.due
        if late >= LOOK_S:
            # nobody called it from here for a while: the fleet's pace says whether it is still free
            return False
        if late >= 0 and self._task is None:
            self._start()
        way.went += 1
        return True

    async def enter(self, deployment: Deployment, call: PromptCall, patience: float | None = None) -> float:
        """Waits for a token. 0.0: it may go now; otherwise it has to wait for so many seconds as a row.

        patience: seconds after which it waits no more; then the answer is SOONER, and it may ask again.
        """
        if self.free(deployment):
            return 0.0
        way, now = self._way(deployment), self._clock()
        order = (call.deadline or LATEST, call.submitted_at)
        ticket = Ticket(order, now, _tokens(call, way), asyncio.get_running_loop().create_future())
        way.add(call.lane, ticket, now)
        self._start()
        after = await _answer(ticket, patience)
        if not after:
            way.gave((call.tenant, call.id), self._clock())
        return after

    def void(self, deployment: Deployment, call: PromptCall) -> bool:
        """Whether a call that was let go needs another token before it is sent, since one was refused meanwhile."""
        way = self._ways.get(deployment.name)
        return way is not None and way.void((call.tenant, call.id), self._clock())

    def proving(self, deployment: Deployment) -> bool:
        """Whether no limit of it is known, so that who waits for it waits for a proof."""
        way = self._ways.get(deployment.name)
        return way is None or way.rate == 0

    def give_back(self, deployment: Deployment) -> None:
        """The token of a call that is not made after all: the next that waits here has it."""
        way = self._ways.get(deployment.name)
        if way is not None and way.mode is not Mode.OPEN:
            way.hand_on()

    def answered(self, deployment: Deployment, reply: ModelReply, seconds: float) -> None:
        """Learn of an answer that came after so many seconds."""
        way = self._way(deployment)
        way.output += (reply.tokens.output - way.output) * 0.1
        if not reply.headers and way.mode is Mode.OPEN:
            way.count(self._clock())
            return
        self._learn(way, Heard(told=told(reply.headers, self._now()), latency=seconds))

    def failed(self, deployment: Deployment, error: ModelError, seconds: float) -> None:
        """Learn of a failure: only a refusal for a limit slows anybody down, other faults are not the pace's."""
        if error.outcome == "rate_limited" and not error.retryable:
            return
        way = self._way(deployment)
        if error.outcome == "rate_limited":
            said = told(error.headers, self._now()) if error.headers else None
            self._learn(way, Heard(True, said, error.retry_after, seconds))
        elif way.mode is Mode.UNKNOWN:
            self._learn(way, Heard(latency=seconds))

    def _learn(self, way: Way, heard: Heard) -> None:
        if way.learn(heard, self._clock()):
            self._start()

    def _way(self, deployment: Deployment) -> Way:
        way = self._ways.get(deployment.name)
        if way is None:
            way = self._ways[deployment.name] = Way(deployment, _key(deployment), self._clock())
        return way

    def _start(self) -> None:
        self._news.set()
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            while ways := self._busy():
                now = self._clock()
                due = min(way.due for way in ways)
                if due > now:
                    await self._wait(due - now)
                else:
                    await self._ask([way for way in ways if way.due <= now])
        finally:
            self._task = None

    def _busy(self) -> list[Way]:
        """Who waits, or has news, or was not looked at for a second."""
        now = self._clock()
        for way in self._ways.values():
            way.drop_gone()
        return [one for one in self._ways.values() if one.busy or (one.mode is Mode.OPEN and one.due <= now)]

    async def _wait(self, seconds: float) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    async def _ask(self, ways: list[Way]) -> None:
        asks = [way.ask(self._worker, MOST_A_LANE) for way in ways]
        try:
            grants = await self._pacer.pace(asks)
        except Unavailable as error:
            log.warning("pace_not_known", reason=str(error))
            for way in ways:
                way.due = self._clock() + LOOK_S
            return
        for way, grant in zip(ways, grants, strict=True):
            self._granted(way, grant)

    def _granted(self, way: Way, grant: Grant) -> None:
        away = way.granted(grant, self._clock())
        provider, model = way.deployment.provider, way.deployment.model
        if grant.rate != way.rate:
            way.rate = grant.rate
            self._metrics.gauge("pace", grant.rate, provider=provider, model=model)
        if passed := sum(grant.calls):
            self._metrics.count("paced_calls", passed, outcome="passed")
        if away:
            self._metrics.count("paced_calls", away, outcome="waits")


async def _answer(ticket: Ticket, patience: float | None) -> float:
    if patience is None:
        return await ticket.answer
    try:
        async with asyncio.timeout(patience):
            return await asyncio.shield(ticket.answer)
    except TimeoutError:
        return ticket.answer.result() if ticket.answer.done() else SOONER
    finally:
        ticket.answer.cancel()


def _key(deployment: Deployment) -> str:
    """Provider, model and which key: never the key itself."""
    if deployment.api_key is None:
        return deployment.name
    return f"{deployment.name}/{hashlib.sha256(deployment.api_key.encode()).hexdigest()[:12]}"


def _tokens(call: PromptCall, way: Way) -> int:
    """What it will probably cost of a limit in tokens: the prompt, and an answer of the usual length."""
    prompt = sum(len(str(message.get("content", ""))) for message in call.messages) // CHARACTERS_A_TOKEN
    limit = call.parameters.get("max_tokens")
    return prompt + int(way.output if limit is None else min(way.output, limit))
