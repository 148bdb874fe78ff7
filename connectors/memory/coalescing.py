"""Requests that ask the same, on the in-memory store (rule L14)."""

from collections.abc import Iterator
from datetime import datetime

from connectors.memory.store import Key, MemoryStore, Request, Wait
from domain.ledger.coalescing import Holder, answered, may_be_answered
from domain.ledger.model import Finished, Grip, Settlement, State, Take, Taken
from domain.ledger.rules import BEHIND_LOOK


def follow(store: MemoryStore, now: datetime, row: Request, take: Take) -> Taken | None:
    """What becomes of a request whose question another one holds; None where it is its own now."""
    if take.question is None or not take.calls or row.tried:
        return None
    name = (row.tenant, take.question)
    holder = store.requests.get((row.tenant, store.questions.get(name, row.id)))
    if holder is None or holder is row:
        store.questions[name] = row.id
        return None
    if not holder.state.final:
        row.state, row.worker, row.epoch = State.WAITING, None, row.epoch + 1
        row.dispatches, row.updated_at = 0, now
        look = now + BEHIND_LOOK
        store.waiting[row.tenant, row.id] = Wait(row.run, row.epoch, look, "coalesced", row.lane, holder.id)
        return Taken(Grip.BEHIND)
    if may_be_answered(Holder(holder.state, holder.settled_at), row.claimed_at):
        return Taken(Grip.ANSWERED, row.epoch, result=holder.results[holder.run])
    store.questions[name] = row.id
    return None


def give_back(store: MemoryStore, row: Request, take: Take, holder: str | None) -> None:
    """A request that may not be called for holds no question: `holder` had it before."""
    name = (row.tenant, take.question or b"")
    if store.questions.get(name) == row.id and holder != row.id:
        del store.questions[name]
        if holder is not None:
            store.questions[name] = holder


def follows(store: MemoryStore, row: Request, wait: Wait) -> bool:
    """Whether it waits behind a request that is unfinished."""
    holder = None if wait.behind is None else store.requests.get((row.tenant, wait.behind))
    return holder is not None and not holder.state.final


def end(store: MemoryStore, now: datetime, item: Settlement) -> tuple[Finished, ...]:
    """Those that waited behind a request that is over have its answer, or wait behind the first of them."""
    behind = list(_behind(store, item))
    if item.state is State.COMPLETED:
        return tuple(_finish(store, now, row, item.result) for _, row in behind)
    for (key, row), (_, heir) in zip(behind, behind[:1] * len(behind), strict=True):
        wait = store.waiting[key]
        wait.behind, wait.not_before = (None, now) if row is heir else (heir.id, wait.not_before)
    return ()


def _behind(store: MemoryStore, item: Settlement) -> Iterator[tuple[Key, Request]]:
    for key, wait in sorted(store.waiting.items(), key=lambda entry: (entry[1].not_before, entry[0])):
        row = store.requests[key]
        if (key[0], wait.behind) == (item.tenant, item.id) and row.state is State.WAITING and row.epoch == wait.epoch:
            yield key, row


def _finish(store: MemoryStore, now: datetime, row: Request, answer: bytes) -> Finished:
    settlement = answered(row.calls[row.run], row.run, row.epoch, answer)
    row.state, row.results[row.run] = settlement.state, settlement.result
    row.settled_by, row.error_code = settlement.settled_by, settlement.error_code
    row.settled_at = row.updated_at = now
    del store.waiting[row.tenant, row.id]
    return Finished(row.tenant, row.id, row.run, row.calls[row.run], settlement.result, ())
