"""The ledger in this process: the same rules on dictionaries, for tests and for tools without a database.

Several of them over one MemoryStore play several workers. Nothing awaits inside a verb, so that each is one
transaction; rows of a batch are worked in order.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from connectors.memory import cancelling, coalescing, lanes, spending, sweeping
from connectors.memory.store import AttemptState, Key, MemoryStore, Request, Wait, refusal
from domain.budgets.model import Over
from domain.budgets.rules import refused_before
from domain.errors import Conflict, Permanent, Transient
from domain.ledger import rules
from domain.ledger.model import (
    Aside,
    Attempt,
    AttemptDone,
    Cancel,
    Cancelling,
    Claim,
    Claimed,
    Finished,
    Grip,
    Next,
    Park,
    Release,
    RequestRecord,
    Settled,
    Settlement,
    Standing,
    State,
    Take,
    Taken,
    Woken,
)

_MOMENT = timedelta(seconds=1)


class MemoryLedger:
    """Implements domain.ports.Ledger over `store`; `now` is the store's clock."""

    def __init__(self, store: MemoryStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._me: str | None = None
        self._in_hand: dict[Key, int] = {}

    async def claim(self, batch: Sequence[Claim]) -> list[Claimed | Permanent]:
        return [refusal(claim.tenant, claim.id, claim.lane) or self._claim(claim) for claim in batch]

    async def take(self, batch: Sequence[Take]) -> list[Taken | Permanent]:
        """Raises Conflict before `register`, Transient when this worker's own lease has ended."""
        me = self._registered()
        if not self._live(me) and any(self._workable(take) for take in batch):
            raise Transient("this worker's lease has ended: nothing was taken; renew it first")
        return [refusal(take.tenant, take.id, take.provider, take.model) or self._take(take, me) for take in batch]

    async def go_on(self, batch: Sequence[Next]) -> list[int | Over | Permanent]:
        return [self._go_on(item) for item in batch]

    async def aside(self, batch: Sequence[Aside]) -> None:
        for item in batch:
            self._complete(self._store.requests.get((item.tenant, item.id)), item.run, item.done)

    async def settle(self, batch: Sequence[Settlement]) -> list[Settled | Permanent]:
        return [refusal(item.tenant, item.id, item.error_code) or self._settle(item) for item in batch]

    async def park(self, batch: Sequence[Park]) -> list[bool | Permanent]:
        return [refusal(item.tenant, item.id, item.reason, item.lane) or self._park(item) for item in batch]

    async def cancel(self, batch: Sequence[Cancel]) -> list[Cancelling | Permanent]:
        return [refusal(item.tenant, item.id) or cancelling.ask(self._store, self._now(), item) for item in batch]

    async def cancelled(self, limit: int) -> list[Woken]:
        return cancelling.due(self._store, self._now(), limit)

    async def abandoned(self) -> list[tuple[str, str, int]]:
        me = self._registered()
        return [(*key, asked.run) for key, asked in self._store.cancels.items() if asked.worker == me]

    async def wake(self, limit: int) -> list[Woken]:
        return sweeping.wake(self._store, self._now(), limit)

    async def gates(self, limit: int, after: tuple[str, str] = ("", "")) -> list[tuple[str, str]]:
        return lanes.gates(self._store, limit, after)

    async def let_in(self, batch: Sequence[Release]) -> list[Woken]:
        return lanes.let_in(self._store, self._now(), batch)

    async def stray(self, limit: int) -> list[Woken]:
        return sweeping.stray(self._store, self._now(), limit)

    async def unemitted(self, limit: int) -> list[Finished]:
        return sweeping.unemitted(self._store, self._now(), limit)

    async def overdue(self, limit: int) -> list[Woken]:
        return sweeping.overdue(self._store, self._now(), limit)

    async def emitted(self, batch: Sequence[tuple[str, str, int]]) -> None:
        for tenant, id, run in batch:
            row = self._store.requests.get((tenant, id))
            if row is not None and row.run == run and row.state.final and row.emitted_at is None:
                row.emitted_at = self._now()

    async def register(self, incarnation: str, stage: str) -> None:  # noqa: ARG002 - the port's; shown nowhere
        self._me = incarnation
        await self.renew()

    async def renew(self) -> None:
        self._store.leases[self._registered()] = self._now() + rules.LEASE

    async def release(self) -> None:
        self._store.leases[self._registered()] = self._now()

    async def tried(self, batch: Sequence[tuple[str, str, int]]) -> list[tuple[Attempt, ...]]:
        rows = [(self._store.requests.get((tenant, id)), run) for tenant, id, run in batch]
        return [row.shown if row is not None and row.run == run else () for row, run in rows]

    async def find(self, tenant: str, id: str) -> RequestRecord | None:
        row = self._store.requests.get((tenant, id))
        return None if row is None else self._record(row)

    async def next_due(self) -> datetime | None:
        return min((wait.not_before for wait in self._store.waiting.values() if wait.gate is None), default=None)

    # --- one row of a batch ------------------------------------------------------------------------------------------

    def _claim(self, claim: Claim) -> Claimed:
        row = self._store.requests.get((claim.tenant, claim.id))
        if row is None:
            row = self._store.requests[claim.tenant, claim.id] = Request.claimed(claim, self._now())
            row.cancel_requested = (claim.tenant, claim.id) in self._store.cancels
            return Claimed(Standing.NEW, row.run, row.state, cancelled=row.cancel_requested)
        if rules.restarts(claim, row.held()):
            row.restart(claim, self._now())
            return Claimed(Standing.NEW, row.run, row.state, epoch=row.epoch)
        standing, result = rules.standing(claim, row.held()), row.results.get(row.run)
        return Claimed(standing, row.run, row.state, result, row.epoch, row.cancel_requested)

    def _take(self, take: Take, me: str) -> Taken:
        key = (take.tenant, take.id)
        row = self._store.requests.get(key)
        repeated = row is not None and self._answer_was_lost(row, me)
        grip = rules.grip(take, None if row is None else self._dispatchable(row, me, repeated))
        if row is None or grip in {Grip.STALE, Grip.FINISHED}:
            return Taken(grip)
        if grip is Grip.UNEMITTED:
            return Taken(grip, result=row.results.get(row.run), usage=row.usage)
        if grip is Grip.HELD:
            self._store.waiting.setdefault(key, Wait(row.run, row.epoch, self._look_at(row), "lease", row.lane))
            return Taken(grip)
        if grip is Grip.TAKEN and take.calls:
            return self._take_to_call(row, take, me, repeated)
        if not repeated:
            self._dispatch(row, take, me, False)
        self._in_hand[key] = row.epoch
        return Taken(grip, row.epoch, len(row.tried), retaken=repeated)

    def _take_to_call(self, row: Request, take: Take, me: str, repeated: bool) -> Taken:
        if take.rules != self._store.budget_version:
            return Taken(Grip.OUTDATED)
        asked_by = self._store.questions.get((row.tenant, take.question or b""))
        met = None if repeated else coalescing.follow(self._store, self._now(), row, take)
        if met is not None:
            return met
        unheard = min(row.dispatches, len(row.tried)) - repeated > 0
        over = self._reserve(row, take, repeated)
        if not repeated:
            self._dispatch(row, take, me, over is None)
        self._in_hand[row.tenant, row.id] = row.epoch
        if over is not None:
            coalescing.give_back(self._store, row, take, asked_by)
            return Taken(Grip.OVER_BUDGET, row.epoch, len(row.tried), over=over)
        return Taken(Grip.TAKEN, row.epoch, len(row.tried), repeats=unheard, retaken=repeated)

    def _reserve(self, row: Request, take: Take, repeated: bool) -> Over | None:
        if take.reserve is None:
            return None
        place = (row.tenant, row.id, row.run, len(row.tried) + (not repeated))
        if repeated and place not in self._store.holds:
            return refused_before(take.reserve, self._now())
        return spending.reserve(self._store, place, take.reserve, self._charged_at(row), self._now())

    def _charged_at(self, row: Request) -> datetime:
        """The claim's time names the period, until the request has waited for the next one."""
        return self._now() if row.waited_for_budget else row.claimed_at

    def _dispatch(self, row: Request, take: Take, me: str, calls: bool) -> None:
        for lost in row.tried[-2:] if row.dispatches > 0 else ():
            lost.outcome = "unknown" if lost.outcome == "started" else lost.outcome
        row.epoch, row.state, row.worker = row.epoch + 1, State.DISPATCHED, me
        row.dispatches, row.updated_at = row.dispatches + 1, self._now()
        if calls:
            row.tried.append(AttemptState(row.epoch, take.provider, take.model, "started", self._now()))

    def _go_on(self, item: Next) -> int | Over:
        row = self._store.requests.get((item.tenant, item.id))
        number = item.done.attempt + 1
        mine = row is not None and (row.run, row.epoch, row.state) == (item.run, item.epoch, State.DISPATCHED)
        if row is not None and mine and item.reserve is not None and len(row.tried) <= number:
            place = (row.tenant, row.id, row.run, number)
            over = spending.reserve(self._store, place, item.reserve, self._charged_at(row), self._now())
            if over is not None:
                return over
        self._complete(row, item.run, item.done)
        if row is None or not mine:
            return 0
        if len(row.tried) == item.done.attempt:
            row.tried.append(AttemptState(row.epoch, item.provider, item.model, "started", self._now()))
            row.updated_at = self._now()
        return number if len(row.tried) == number else 0

    def _settle(self, item: Settlement) -> Settled:
        self._in_hand.pop((item.tenant, item.id), None)
        row = self._store.requests.get((item.tenant, item.id))
        self._complete(row, item.run, item.done)
        if row is None or row.run != item.run:
            return Settled(False)
        if not row.state.final and row.epoch == item.epoch:
            row.state, row.worker, row.results[row.run] = item.state, None, item.result
            row.settled_by, row.error_code = item.settled_by, item.error_code
            row.settled_at = row.updated_at = self._now()
            return Settled(True, row.usage, coalescing.end(self._store, self._now(), item))
        return Settled(True, row.usage) if row.results.get(row.run) == item.result else Settled(False)

    def _park(self, item: Park) -> bool:
        self._in_hand.pop((item.tenant, item.id), None)
        row = self._store.requests.get((item.tenant, item.id))
        self._complete(row, item.run, item.done)
        if row is None or row.run != item.run:
            return False
        if row.state in {State.ACCEPTED, State.DISPATCHED} and row.epoch == item.epoch:
            if row.state is State.DISPATCHED:
                row.dispatches = 0  # otherwise it is intake that parks: it heard of no call (rule L9)
            row.state, row.worker, row.epoch = State.WAITING, None, item.epoch + 1
            row.updated_at = self._now()
            row.waited_for_budget |= item.reason == "budget"
            wait = Wait(row.run, row.epoch, item.not_before, item.reason, item.lane, gate=item.gate)
            self._store.waiting[item.tenant, item.id] = wait
        return row.state is State.WAITING and row.epoch == item.epoch + 1

    def _complete(self, row: Request | None, run: int, done: AttemptDone | None) -> None:
        """Unconditionally, also for a worker that lost the request (rule L8)."""
        if row is None or done is None or done.outcome == "started":
            return
        tried = row.attempts.get(run, [])
        if done.attempt <= len(tried):
            tried[done.attempt - 1].complete(done, self._now())
        if done.frees:
            spending.free(self._store, (row.tenant, row.id, run, done.attempt), done.cost_usd)

    # --- leases ------------------------------------------------------------------------------------------------------

    def _registered(self) -> str:
        if self._me is None:
            raise Conflict("this worker has no lease; call register first")
        return self._me

    def _live(self, worker: str) -> bool:
        return sweeping.live(self._store, worker, self._now())

    def _held(self, row: Request) -> bool:
        """Dispatched to somebody whose lease lasts, or so lately that a snapshot may not show it."""
        return row.updated_at > self._now() - _MOMENT or self._live(row.worker or "")

    def _look_at(self, row: Request) -> datetime:
        """When wake looks at it: at the end of a live lease, at once where the lease is over."""
        now = self._now()
        return max(self._store.leases.get(row.worker or "", now), now + _MOMENT) if self._held(row) else now

    def _answer_was_lost(self, row: Request, me: str) -> bool:
        """Dispatched by this worker by a statement whose answer never arrived: it has nothing of it in hand."""
        in_hand = self._in_hand.get((row.tenant, row.id), 0)
        return row.state is State.DISPATCHED and row.worker == me and row.epoch != in_hand

    def _dispatchable(self, row: Request, me: str, repeated: bool) -> rules.Dispatchable:
        return rules.Dispatchable(
            run=row.run,
            epoch=row.epoch,
            state=row.state,
            emitted=row.emitted_at is not None,
            unheard=row.dispatches - repeated,
            fail_on_unknown=row.fail_on_unknown,
            elsewhere=row.state is State.DISPATCHED and row.worker is not None and row.worker != me,
            live=self._held(row),
            cancel_requested=row.cancel_requested,
        )

    def _workable(self, take: Take) -> bool:
        row = self._store.requests.get((take.tenant, take.id))
        return row is not None and row.run == take.run and row.state in {State.ACCEPTED, State.DISPATCHED}

    def _record(self, row: Request) -> RequestRecord:
        wait = self._store.waiting.get((row.tenant, row.id)) if row.state is State.WAITING else None
        return RequestRecord(
            tenant=row.tenant,
            id=row.id,
            run=row.run,
            epoch=row.epoch,
            state=row.state,
            lane=row.lane,
            source=row.source,
            dispatches=row.dispatches,
            created_at=row.claimed_at,
            updated_at=row.updated_at,
            submitted_at=row.submitted_at,
            not_before=None if wait is None or wait.gate is not None else wait.not_before,
            reason=None if wait is None else wait.reason,
            worker=row.worker,
            lease_until=self._store.leases.get(row.worker) if row.worker else None,
            settled_by=row.settled_by,
            emitted_at=row.emitted_at,
            error_code=row.error_code,
            result=row.results.get(row.run),
            attempts=row.shown,
        )
