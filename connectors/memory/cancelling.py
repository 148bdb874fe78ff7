"""Requests that somebody wants to end, on the in-memory store (rule L11)."""

from datetime import datetime, timedelta

from connectors.memory.store import CancelAsked, Key, MemoryStore, Request
from connectors.memory.sweeping import live
from domain.ledger.model import Cancel, Cancelling, State, Woken
from domain.ledger.rules import CANCEL_AGAIN, look_for_claim

_MOMENT = timedelta(seconds=1)


def ask(store: MemoryStore, now: datetime, item: Cancel) -> Cancelling:
    key = (item.tenant, item.id)
    row = store.requests.get(key)
    if row is None and key not in store.jobs:
        return Cancelling.UNKNOWN
    if row is not None and row.state.final:
        return Cancelling.FINAL
    run, worker = (row.run, row.worker) if row is not None else (1, None)
    earlier = store.cancels.get(key)
    store.cancels[key] = CancelAsked(run, worker, earlier.asked_at if earlier else now, now)
    if row is not None:
        row.cancel_requested = True
    return Cancelling.ASKED


def due(store: MemoryStore, now: datetime, limit: int) -> list[Woken]:
    looked = sorted((asked.look_at, key) for key, asked in store.cancels.items() if asked.look_at <= now)
    found = []
    for _, key in looked[:limit]:
        row = _open(store, now, key)
        if row is not None:
            found.append(Woken(row.tenant, row.id, row.run, row.lane, row.calls[row.run], row.epoch))
    return found


def _open(store: MemoryStore, now: datetime, key: Key) -> Request | None:
    """The request, where it may be settled now; a row of what is over is removed."""
    asked, row = store.cancels[key], store.requests.get(key)
    if row is None:
        asked.look_at = look_for_claim(now, asked.asked_at)
        return None
    if row.state.final or row.run != asked.run:
        del store.cancels[key]
        return None
    row.cancel_requested, asked.look_at = True, now + CANCEL_AGAIN
    held = row.state is State.DISPATCHED and (live(store, row.worker, now) or row.updated_at > now - _MOMENT)
    asked.worker = row.worker if held else None
    return None if held else row
