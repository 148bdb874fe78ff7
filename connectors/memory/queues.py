"""Looks at queues in this process: the twin of connectors/postgres/queues.py on the shared store."""

from collections import Counter

from connectors.memory.store import MemoryStore
from domain.ledger.model import State
from domain.queues.model import Queue, QueueLook, Waits


class MemoryQueues:
    """Implements domain.ports.Queues over `store`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def look(self, tenant: str) -> QueueLook:
        found = QueueLook()
        for (owner, _), wait in self._store.waiting.items():
            if owner == tenant and wait.reason != "lease":
                waits = found.queues.setdefault(wait.lane, Queue(wait.lane)).waits
                before = waits.get(wait.reason, Waits(0, None))
                dues = (before.next_due, None if wait.gate is not None else wait.not_before)
                first = min((due for due in dues if due is not None), default=None)
                waits[wait.reason] = Waits(before.count + 1, first)
        for (owner, _), row in self._store.requests.items():
            if owner == tenant and row.state in (State.ACCEPTED, State.DISPATCHED):
                queue = found.queues.setdefault(row.lane, Queue(row.lane))
                queue.accepted += row.state is State.ACCEPTED
                queue.running += row.state is State.DISPATCHED
        return found

    async def waiting(self) -> dict[str, int]:
        return dict(Counter(wait.reason for wait in self._store.waiting.values()))
