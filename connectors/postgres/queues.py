"""Looks at queues in PostgreSQL."""

from connectors.postgres.pool import Pool
from connectors.postgres.queries import statements
from domain.ledger.model import State
from domain.queues.model import Queue, QueueLook, Waits

_SQL = statements("queues")
MOST_WAITING = 200_000
"""Counted at most: 0.1 s."""
MOST_LOOKED_AT = 20_000


class PostgresQueues:
    """Implements domain.ports.Queues."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def look(self, tenant: str) -> QueueLook:
        found = QueueLook()
        for lane, reason, count, next_due in await self._pool.fetch(_SQL["waits"], tenant, MOST_WAITING):
            found.queues.setdefault(lane, Queue(lane)).waits[reason] = Waits(count, next_due)
        waiting = sum(queue.waiting for queue in found.queues.values())
        found.complete = waiting < MOST_WAITING
        for lane, state, count, looked in await self._pool.fetch(_SQL["unfinished"], tenant, MOST_LOOKED_AT):
            found.complete = found.complete and looked < MOST_LOOKED_AT
            if state == State.ACCEPTED:
                found.queues.setdefault(lane, Queue(lane)).accepted = count
            elif state == State.DISPATCHED:
                found.queues.setdefault(lane, Queue(lane)).running = count
        return found

    async def waiting(self) -> dict[str, int]:
        return {row["reason"]: row["count"] for row in await self._pool.fetch(_SQL["waiting"])}
