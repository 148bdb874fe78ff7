"""The provider: answers as the plan says, and keeps its own bill."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from connectors.memory.store import MemoryStore
from domain.errors import ModelError
from domain.ledger.model import State
from domain.ledger.results import call_id
from domain.pricing.cost import cost
from domain.routing.model import ModelCall, ModelReply, Tokens
from tests.simulation.clock import ProcessLoop
from tests.simulation.plan import Answer
from tests.simulation.world import World

GOOD, BAD = '{"label": "good"}', "I would rather not say."
USED = Tokens(31, 8)
SENT_UNHEARD = frozenset({"timeout", "error"})
"""Answers after which nobody knows what the provider did."""


@dataclass(slots=True)
class Billed:
    """One call that reached the provider. `heard`: its answer reached the worker `by`, which may have died since."""

    number: int
    request_id: str
    answer: Answer
    by: ProcessLoop
    cost_usd: Decimal = Decimal(0)
    heard: bool = False

    @property
    def name(self) -> str:
        """The provider's own id of the call."""
        return f"call-{self.number}"


class Provider:
    """Shared by all workers. `calls` is the bill."""

    def __init__(self, world: World, store: MemoryStore) -> None:
        self.world = world
        self._store = store
        self._answers = list(world.plan.answers)
        self.calls: dict[str, list[Billed]] = {}
        self._known: dict[str, tuple[str, str, int]] = {}
        self._fail: set[str] = set()
        self._count = 0

    def expect(self, tenant: str, id: str, fail: bool) -> None:
        """A request that may be called for."""
        for run in range(1, 5):
            name = call_id(tenant, id, run)
            self._known[name] = (tenant, id, run)
            if fail:
                self._fail.add(name)

    def begin(self, call: ModelCall, worker: ProcessLoop, incarnation: str) -> Billed:
        """Raises Violation where this call must not be made."""
        answer: Answer = self._answers.pop(0) if self._answers else "ok"
        self._check(call.request_id, incarnation)
        self.world.note(worker, f"call {self._known[call.request_id][1]}: {answer}")
        self._count += 1
        billed = Billed(self._count, call.request_id, answer, worker)
        if answer != "refused_connection":
            self.calls.setdefault(call.request_id, []).append(billed)
        if answer in {"ok", "slow", "invalid", "refusal"}:
            billed.cost_usd = cost(call.deployment.price, USED)
        self.world.struck("call", "call", worker)
        self.world.after(worker)
        return billed

    def _check(self, request_id: str, incarnation: str) -> None:
        tenant, id, run = self._known[request_id]
        row = self._store.requests[tenant, id]
        if row.run != run or row.state.final:
            raise self.world.violated(f"{id} run {run} is called for while run {row.run} is {row.state}")
        if row.state is not State.DISPATCHED or row.worker != incarnation:
            raise self.world.violated(
                f"{id} is called for by {incarnation} while it is {row.state}, held by {row.worker}"
            )
        asked, attempt = self._store.cancels.get((tenant, id)), row.tried[-1]
        first = len(row.tried) < 2 or row.tried[-2].epoch != attempt.epoch
        if asked is not None and asked.run == run and first and asked.asked_at < attempt.started_at:
            raise self.world.violated(f"{id} is called for though it was cancelled before it was taken (L11)")
        if request_id in self._fail:
            for earlier in self.calls.get(request_id, ()):
                if not earlier.heard or earlier.answer in SENT_UNHEARD:
                    raise self.world.violated(
                        f"{id} says fail and is called again after {earlier.name}, whose outcome is unknown"
                    )


class ProviderClient:
    """Implements Model for one worker process."""

    def __init__(self, provider: Provider, loop: ProcessLoop, incarnation: str) -> None:
        self._provider, self._loop, self._incarnation = provider, loop, incarnation

    async def call(self, call: ModelCall) -> ModelReply:
        billed = self._provider.begin(call, self._loop, self._incarnation)
        await asyncio.sleep(self._seconds(billed.answer, call.timeout_s))
        billed.heard = True
        return _reply(billed)

    def _seconds(self, answer: Answer, limit: float) -> float:
        if answer == "timeout":
            return limit
        return min(limit, self._provider.world.rng.random() * (40.0 if answer == "slow" else 1.0))

    async def close(self) -> None:
        """Nothing is open."""


def _reply(billed: Billed) -> ModelReply:
    answer, name = billed.answer, billed.name
    if answer == "limited":
        raise _error("rate_limited", name, status=429, retry_after=2.0)
    if answer == "timeout":
        raise _error("timeout", name)
    if answer == "error":
        raise _error("error", name, status=500)
    if answer == "refused_connection":
        raise ModelError("refused", outcome="refused_connection", sent=False, retryable=True)
    refusal = "no" if answer == "refusal" else None
    return ModelReply(BAD if answer == "invalid" else GOOD, "stop", USED, name, refusal)


def _error(outcome: str, name: str, status: int | None = None, retry_after: float | None = None) -> ModelError:
    return ModelError(
        f"scripted: {outcome}",
        outcome=outcome,
        sent=True,
        retryable=True,
        retry_after=retry_after,
        status=status,
        provider_request_id=name,
    )
