"""Who waits for a place, and who is in flight, on the in-memory store."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import zip_longest

import orjson

from connectors.memory.store import Key, MemoryStore
from connectors.memory.sweeping import come_back
from domain.admission.model import Flight
from domain.ledger.model import Release, State, Woken

_NEVER = datetime.max.replace(tzinfo=UTC)
_IN_FLIGHT = frozenset({State.ACCEPTED, State.DISPATCHED})


class MemoryFlights:
    """Implements domain.ports.Flights over `store`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def in_flight(self, limit: int) -> list[Flight]:
        rows = [row for row in self._store.requests.values() if row.state in _IN_FLIGHT]
        return [
            Flight(row.tenant, row.lane, row.id, row.run, orjson.loads(row.calls[row.run]).get("api_key_id"))
            for row in rows[:limit]
        ]

    async def ended(self, flights: Sequence[Flight]) -> list[Flight]:
        rows = self._store.requests
        found = [(flight, rows.get((flight.tenant, flight.id))) for flight in flights]
        return [flight for flight, row in found if row is None or row.run != flight.run or row.state not in _IN_FLIGHT]


def gates(store: MemoryStore, limit: int, after: tuple[str, str]) -> list[tuple[str, str]]:
    found = {(tenant, wait.gate) for (tenant, _), wait in store.waiting.items() if wait.gate is not None}
    return sorted(one for one in found if one > after)[:limit]


def let_in(store: MemoryStore, now: datetime, batch: Sequence[Release]) -> list[Woken]:
    lines = [_waiting(store, one)[: one.places] for one in batch]
    turns = [key for turn in zip_longest(*lines) for key in turn if key is not None]
    return come_back(store, now, turns)


def _waiting(store: MemoryStore, wanted: Release) -> list[Key]:
    found = [key for key, wait in store.waiting.items() if key[0] == wanted.tenant and wait.gate == wanted.gate]
    return sorted(found, key=lambda key: (store.requests[key].deadline or _NEVER, store.waiting[key].not_before))
