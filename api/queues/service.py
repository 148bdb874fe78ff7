"""Reads the queues of one tenant."""

import orjson

from api.within import LEDGER, PATIENCE_S, within
from domain.ports import Queues
from domain.queues.model import Queue
from topics.base import format_time


class QueueReader:
    """Raises Problem (unavailable) when PostgreSQL does not answer."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def page(self, tenant: str) -> bytes:
        """The body of the answer: there are few lanes, and one page holds them all."""
        look = await within(self._queues.look(tenant), PATIENCE_S, LEDGER)
        items = [_fields(queue) for queue in look.queues.values()]
        return orjson.dumps({"items": items, "next_cursor": None, "complete": look.complete})


def _fields(queue: Queue) -> dict[str, object]:
    return {
        "lane": queue.lane,
        "accepted": queue.accepted,
        "running": queue.running,
        "waiting": queue.waiting,
        "reasons": [
            {
                "reason": reason,
                "waiting": waits.count,
                "next_due": format_time(waits.next_due) if waits.next_due else None,
            }
            for reason, waits in sorted(queue.waits.items())
        ],
        "next_due": None if queue.next_due is None else format_time(queue.next_due),
    }
