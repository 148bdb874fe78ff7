"""What no statement may do to a request: looked at after each one that takes effect, late ones included."""

from dataclasses import dataclass

import orjson

from connectors.memory.store import Key, MemoryStore, Request
from domain.ledger.model import State
from tests.simulation.world import World

UNSURE = frozenset({"started", "unknown"})


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the last statement left it. `outcomes` are those of its run's attempts."""

    run: int
    epoch: int
    state: State
    worker: str | None
    result: bytes | None
    outcomes: tuple[str, ...]
    cancel_requested: bool


class Invariants:
    """Compares every request with what it was before the statement."""

    def __init__(self, world: World, store: MemoryStore) -> None:
        self._world, self._store = world, store
        self._seen: dict[Key, tuple[object, ...]] = {}
        self._asked: dict[bytes, tuple[str, str | None]] = {}

    def check(self) -> None:
        """Raises Violation where a statement broke a rule."""
        for account in self._store.accounts.values():
            if account.held_usd < 0 or account.spent_usd + account.held_usd > account.limit_usd:
                raise self._world.violated(f"a budget never promises more than it has (L12): {account}")
        for key, row in self._store.requests.items():
            outcomes = tuple([attempt.outcome for attempt in row.tried])
            now = (row.run, row.epoch, row.state, row.worker, row.results.get(row.run), outcomes, row.cancel_requested)
            before = self._seen.get(key)
            if now != before:
                self._seen[key] = now
                broken = self._broken(row, Seen(*now), None if before is None else Seen(*before))  # type: ignore[arg-type]
                broken = broken or self._asked_twice(row)
                if broken is not None:
                    raise self._world.violated(f"{row.id}: {broken}; it was {before} and is {now}")

    def _asked_twice(self, row: Request) -> str | None:
        if row.state.final or not row.tried:
            return None
        for other in self._store.requests.values():
            if other is not row and other.tried and not other.state.final and self._asks(other) == self._asks(row):
                return f"asks what {other.id} is asking (L14)"
        return None

    def _asks(self, row: Request) -> tuple[str, str | None]:
        """What it asks; its own id where that is nothing."""
        call = row.calls[row.run]
        if call not in self._asked:
            key = orjson.loads(call).get("cache_key")
            self._asked[call] = (row.id if key is None else "", key)
        return self._asked[call]

    def _broken(self, row: Request, now: Seen, before: Seen | None) -> str | None:
        """The rule that does not hold any more, None when all do."""
        if (now.state is State.DISPATCHED) != (now.worker is not None):
            return "a request has a worker while it is dispatched, and only then"
        if now.state.final != (now.result is not None):
            return "a request has a result when it is final, and only then (L11)"
        if now.state is State.REJECTED and now.outcomes:
            return "what is rejected was not called for"
        wait = self._store.waiting.get((row.tenant, row.id))
        if now.state is State.WAITING and (wait is None or (wait.run, wait.epoch) != (now.run, now.epoch)):
            return "what waits has a row that brings it back (L10)"
        return None if before is None else _moved_wrongly(now, before)


def _moved_wrongly(now: Seen, before: Seen) -> str | None:
    if now.run < before.run or now.epoch < before.epoch:
        return "runs and epochs only grow"
    if now.run > before.run:
        return None if before.state.final else "a run ends before the next one begins (L3)"
    if before.state.final and (now.state, now.result) != (before.state, before.result):
        return "what is final stays as it is (L11)"
    if now.epoch == before.epoch and _changed_hands(now, before):
        return "a request changes hands under a new epoch (L6, L11)"
    return _wrong_attempts(now, before)


def _changed_hands(now: Seen, before: Seen) -> bool:
    moved = now.state is not before.state and not now.state.final
    return moved or (now.worker is not None and now.worker != before.worker)


def _wrong_attempts(now: Seen, before: Seen) -> str | None:
    more = len(now.outcomes) - len(before.outcomes)
    if before.cancel_requested and now.epoch > before.epoch and more > 0:
        return "what is to be cancelled is not taken for a call (L11)"
    if more < 0:
        return "an attempt is never forgotten (L8)"
    if any(a not in UNSURE and a != b for a, b in zip(before.outcomes, now.outcomes, strict=False)):
        return "the first known outcome of an attempt stays (L8)"
    return None
