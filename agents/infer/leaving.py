"""Calls on their way, and leaving them: nobody hears of a call that was left, and what it cost is not known."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
Key = tuple[str, str, int]
"""(tenant, id, run)."""


class Abandoned(Exception):
    """The call was left before its answer came."""


class Calls:
    """The calls of a worker: a run has one as a rule, and two while it is hedged. Each is made in a task of its own."""

    def __init__(self) -> None:
        self._running: dict[Key, set[asyncio.Task[Any]]] = {}
        self._left: set[asyncio.Task[Any]] = set()

    def leave(self, key: Key) -> None:
        """All calls of a run."""
        for task in self._running.get(key, ()):
            self.leave_one(key, task)

    def leave_one(self, key: Key, task: "asyncio.Task[Any]") -> None:
        """The call of one task, if it makes one now."""
        # once only: a second cancellation would fall into the adapter's tidying up
        if task in self._running.get(key, ()) and task not in self._left:
            self._left.add(task)
            task.cancel()

    async def make(self, key: Key, call: Coroutine[Any, Any, T]) -> T:
        """Its answer. Raises Abandoned when it was left meanwhile."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call is made in a task")
        self._running.setdefault(key, set()).add(task)
        try:
            return await call
        except asyncio.CancelledError as error:
            if task not in self._left:
                raise
            task.uncancel()
            raise Abandoned from error
        finally:
            self._left.discard(task)
            self._running[key].discard(task)
            if not self._running[key]:
                del self._running[key]
