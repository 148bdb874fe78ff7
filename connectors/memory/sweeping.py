"""What brings requests back, on the in-memory store (rules L7, L10, L15)."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from connectors.memory import coalescing
from connectors.memory.store import Key, MemoryStore, Request, Wait
from domain.ledger.model import Finished, State, Woken
from domain.ledger.rules import BEHIND_LOOK, EMIT_AFTER, STRAY_AFTER, look_again

_MOMENT = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)


def live(store: MemoryStore, worker: str | None, now: datetime) -> bool:
    return worker is not None and worker in store.leases and store.leases[worker] > now


def wake(store: MemoryStore, now: datetime, limit: int) -> list[Woken]:
    timed = ((key, wait) for key, wait in store.waiting.items() if wait.gate is None)
    due = sorted((wait.not_before, key) for key, wait in timed if wait.not_before <= now)
    return come_back(store, now, [key for _, key in due[:limit]])


def come_back(store: MemoryStore, now: datetime, keys: Sequence[Key]) -> list[Woken]:
    """Those of them that still wait are accepted again."""
    woken = []
    for key in keys:
        row, wait = store.requests[key], store.waiting[key]
        held = row.state is State.DISPATCHED and wait.reason == "lease"
        if held and (live(store, row.worker, now) or row.updated_at > now - _MOMENT):
            wait.not_before = max(store.leases.get(row.worker or "", now), now + _MOMENT)
            continue
        if _is_due(row, wait) and coalescing.follows(store, row, wait):
            wait.not_before = now + BEHIND_LOOK
            continue
        del store.waiting[key]
        if held or _is_due(row, wait):
            _accept(row, now, epoch=row.epoch + 1)
            store.look_at[key] = min(store.look_at.get(key, now + STRAY_AFTER), now + STRAY_AFTER)
            woken.append(_woken(row, wait.lane))
    return woken


def stray(store: MemoryStore, now: datetime, limit: int) -> list[Woken]:
    def is_stray(row: Request) -> bool:
        if row.deadline is not None and row.deadline <= now:
            return False
        if row.state is State.ACCEPTED:
            return row.updated_at <= now - STRAY_AFTER
        return row.state is State.DISPATCHED and not live(store, row.worker, now) and _old(row, now)

    found = []
    for key, row in _some(store, now, limit, is_stray):
        _accept(row, now, epoch=row.epoch + (row.state is State.DISPATCHED))
        store.look_at[key] = look_again(now, row.claimed_at)
        found.append(_woken(row, row.lane))
    return found


def overdue(store: MemoryStore, now: datetime, limit: int) -> list[Woken]:
    def is_overdue(row: Request) -> bool:
        busy = row.state is State.DISPATCHED and live(store, row.worker, now)
        return row.deadline is not None and row.deadline <= now and not row.state.final and not busy

    found = []
    for key, row in _some(store, now, limit, is_overdue):
        store.look_at[key] = now + _MINUTE
        found.append(_woken(row, row.lane))
    return found


def unemitted(store: MemoryStore, now: datetime, limit: int) -> list[Finished]:
    def is_unemitted(row: Request) -> bool:
        settled = row.settled_at is not None and row.settled_at <= now - EMIT_AFTER
        return settled and row.emitted_at is None and _old(row, now)

    found = []
    for key, row in _some(store, now, limit, is_unemitted):
        store.look_at[key] = now + _MINUTE
        call, result = row.calls[row.run], row.results[row.run]
        found.append(Finished(row.tenant, row.id, row.run, call, result, row.usage))
    return found


def _some(
    store: MemoryStore, now: datetime, limit: int, wanted: Callable[[Request], bool]
) -> Iterator[tuple[Key, Request]]:
    free = (item for item in store.requests.items() if store.look_at.get(item[0], now) <= now)
    found = [item for item in free if wanted(item[1])]
    return iter(found[:limit])


def _old(row: Request, now: datetime) -> bool:
    return row.claimed_at <= now - STRAY_AFTER


def _is_due(row: Request, wait: Wait) -> bool:
    return row.state is State.WAITING and (row.run, row.epoch) == (wait.run, wait.epoch)


def _accept(row: Request, now: datetime, epoch: int) -> None:
    row.state, row.epoch, row.worker, row.updated_at = State.ACCEPTED, epoch, None, now


def _woken(row: Request, lane: str) -> Woken:
    return Woken(row.tenant, row.id, row.run, lane, row.calls[row.run], row.epoch)
