"""Waiting for a result whose reply may be lost (rule D2)."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from api.analyze.waiters import Heard, Rhythm, Waiters
from connectors.memory.chunks import MemoryChunks
from connectors.memory.jobs import MemoryJobs
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.replies import MemoryReplies
from connectors.memory.store import MemoryStore
from domain.errors import Unavailable
from domain.jobs.model import JobView
from domain.ports import Reply
from tests.api.door import utc_now

QUICK = Rhythm(look=0.02, look_joined=0.01, tick=0.005, last_look=0.1)
NEVER = Rhythm(look=60, look_joined=60, tick=60, last_look=0.1)


class Scripted(MemoryJobs):
    """Finished jobs by id, as (run, result); counts queries and stumbles when told to."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), utc_now)
        self.finished: dict[str, tuple[int, bytes]] = {}
        self.queries: list[list[str]] = []
        self.down = False

    async def view(self, tenant: str, ids: Sequence[str]) -> list[JobView]:
        self.queries.append(sorted(ids))
        if self.down:
            raise Unavailable("PostgreSQL does not answer")
        return [self._final(tenant, id) for id in ids if id in self.finished]

    def _final(self, tenant: str, id: str) -> JobView:
        run, result = self.finished[id]
        return JobView(tenant, id, "completed", run, utc_now(), utc_now(), None, result)


class DeafReplies(MemoryReplies):
    """A Redis that is away."""

    def listen(self, instance: str) -> AsyncIterator[Reply]:
        raise Unavailable("Redis does not answer")


class Room:
    def __init__(self, rhythm: Rhythm, replies: MemoryReplies | None = None) -> None:
        self.jobs = Scripted()
        self.replies = replies or MemoryReplies()
        self.metrics = MemoryMetrics()
        self.waiters = Waiters("here", Heard(self.replies, MemoryChunks()), self.jobs, self.metrics, rhythm)

    async def wait(self, id: str, seconds: float = 5.0, *, after_run: int = 0) -> bytes | None:
        with self.waiters.waiter("acme", id, after_run=after_run) as waiter:
            return await self.waiters.wait(waiter, seconds)


async def test_D2_a_reply_wakes_its_waiters_and_nobody_else() -> None:
    room = Room(NEVER)
    async with room.waiters.running():
        first, second, other = (asyncio.create_task(room.wait(id)) for id in ("a", "a", "b"))
        await asyncio.sleep(0)
        await room.replies.notify([Reply("here", "acme", "a", b"{}"), Reply("here", "globex", "b", b"{}")])
        assert (await first, await second) == (b"{}", b"{}")
        assert not other.done()
        other.cancel()


async def test_D2_without_replies_the_ledger_is_asked() -> None:
    room = Room(QUICK, DeafReplies())
    async with room.waiters.running():
        waiting = asyncio.create_task(room.wait("a"))
        while not room.jobs.queries:
            await asyncio.sleep(0)
        room.jobs.finished["a"] = (1, b"{}")
        assert await waiting == b"{}"
    assert room.metrics.value("http_wakes", how="ledger") == 1


async def test_D2_all_that_look_at_the_same_moment_share_one_query() -> None:
    room = Room(NEVER)
    ids = [f"r{n}" for n in range(20)]
    room.jobs.finished = dict.fromkeys(ids, (1, b"{}"))
    answers = await asyncio.gather(*(room.wait(id, 0.01) for id in ids))
    assert answers == [b"{}"] * 20
    assert len(room.jobs.queries) <= 2


async def test_D2_a_ledger_that_is_down_too_ends_in_no_answer() -> None:
    room = Room(QUICK, DeafReplies())
    room.jobs.down = True
    async with room.waiters.running():
        assert await room.wait("a", 0.05) is None
    assert room.metrics.value("http_wakes", how="timeout") == 1


@pytest.mark.parametrize(("run", "expected"), [(1, None), (2, b'{"run":2}')])
async def test_who_waits_for_a_new_run_is_not_woken_by_the_old_one(run: int, expected: bytes | None) -> None:
    room = Room(NEVER)
    result = b'{"run":%d}' % run
    room.jobs.finished["a"] = (run, result)
    async with room.waiters.running():
        waiting = asyncio.create_task(room.wait("a", 0.02, after_run=1))
        await asyncio.sleep(0)
        await room.replies.notify([Reply("here", "acme", "a", result)])
        assert await waiting == expected


async def test_nothing_is_kept_of_a_waiter_that_left() -> None:
    room = Room(NEVER)
    assert await room.wait("a", 0) is None
    assert room.waiters._waiting == {}
