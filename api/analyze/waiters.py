"""Synchronous requests that wait for their result (rule D2).

A waiter is registered before its request is produced and woken by a Reply. A reply can be lost (Redis restarted,
another instance got it, the request was finished before): so each waiter also looks into the ledger, now and then and
once more at its time-out. All that look at the same moment share one query a tenant.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from domain.batching import Batcher
from domain.errors import Transient
from domain.jobs.model import JobView
from domain.ledger.model import State
from domain.metrics import Metrics
from domain.ports import Chunk, Chunks, Jobs, Replies, Reply

FINAL = frozenset({*(state.value for state in (State.COMPLETED, State.FAILED, State.REJECTED)), "cancelled"})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds: between two looks into the ledger, of a waiter that joined (nobody may have been told to wake it), of
    one that is told how it goes, between two rounds of those whose turn it is, and for the last look at a time-out."""

    look: float = 2.0
    look_joined: float = 0.5
    look_watched: float = 0.25
    tick: float = 0.25
    last_look: float = 1.0


DEFAULT_RHYTHM = Rhythm()


@dataclass(frozen=True, slots=True)
class Standing:
    """A request's state as the ledger has it; what it waits for, and until when, while it waits."""

    name: str
    reason: str | None = None
    until: datetime | None = None


News = Standing | Chunk | None


@dataclass(slots=True, eq=False)
class Waiter:
    """One waiting client. Results of runs up to `after_run` are not what it waits for.

    news: of a client that is told how it goes, what happened since it looked: a new state, and None at the end.
    """

    tenant: str
    id: str
    after_run: int
    look_every: float
    look_at: float
    result: asyncio.Future[bytes | None] = field(repr=False)
    news: asyncio.Queue[News] | None = field(default=None, repr=False)
    state: str = "accepted"

    def tell(self, news: News) -> None:
        """Nobody who only waits for the result is told of anything else."""
        if self.news is not None:
            self.news.put_nowait(news)


@dataclass(frozen=True, slots=True)
class Heard:
    """What comes to an instance without being asked for."""

    replies: Replies
    chunks: Chunks


class Waiters:
    """All waiting clients of this instance."""

    def __init__(
        self, instance: str, heard: Heard, jobs: Jobs, metrics: Metrics, rhythm: Rhythm = DEFAULT_RHYTHM
    ) -> None:
        self.instance = instance
        self._heard = heard
        self._watched = asyncio.Event()
        self._jobs = jobs
        self._metrics = metrics
        self._rhythm = rhythm
        self._waiting: defaultdict[tuple[str, str], set[Waiter]] = defaultdict(set)
        self._looks: Batcher[Waiter, None] = Batcher(self._look)
        self._draining = False

    @contextmanager
    def waiter(
        self, tenant: str, id: str, *, joined: bool = False, after_run: int = 0, watches: bool = False
    ) -> Iterator[Waiter]:
        """A waiter, registered while the block runs. `joined`: another request started the work.

        watches: it is told of states and text as well.
        """
        every = self._rhythm.look_joined if joined else self._rhythm.look
        every = self._rhythm.look_watched if watches else every
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        waiter = Waiter(tenant, id, after_run, every, time.monotonic() + every, future)
        if watches:
            self._watch(waiter)
        self._waiting[tenant, id].add(waiter)
        try:
            yield waiter
        finally:
            self._forget(waiter)

    async def wait(self, waiter: Waiter, seconds: float) -> bytes | None:
        """The result's bytes, or None when there is none after `seconds` or the server is stopping."""
        if self._draining:
            return None
        done, _ = await asyncio.wait((waiter.result,), timeout=seconds)
        if not done and seconds > 0:
            look = self._looks.submit(waiter)
            look.add_done_callback(_heard)
            await asyncio.wait((look,), timeout=self._rhythm.last_look)
        if not waiter.result.done():
            self._metrics.count("http_wakes", how="timeout")
            return None
        return waiter.result.result()

    def _watch(self, waiter: Waiter) -> None:
        news: asyncio.Queue[News] = asyncio.Queue()
        waiter.news = news
        waiter.result.add_done_callback(lambda _: news.put_nowait(None))
        self._watched.set()

    def drain(self) -> None:
        """Let everybody go with what is known: the server stops, the jobs go on."""
        self._draining = True
        for waiters in self._waiting.values():
            for waiter in waiters:
                _resolve(waiter, None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen and look while the block runs."""
        tasks = [asyncio.create_task(work()) for work in (self._listen, self._tick, self._hear)]
        try:
            yield
        finally:
            self.drain()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                async for reply in self._heard.replies.listen(self.instance):
                    self._wake(reply)
            except Transient as error:
                log.warning("no replies at present (%s); waiters look into the ledger", error)
            except Exception:
                log.exception("listening for replies failed; waiters look into the ledger")
            await asyncio.sleep(self._rhythm.look)

    async def _hear(self) -> None:
        """Text on its way. From the first client that wants any: nobody else pays for it."""
        while True:
            await self._watched.wait()
            try:
                async for chunk in self._heard.chunks.listen(self.instance):
                    self._hear_chunk(chunk)
            except Transient as error:
                log.warning("no text at present (%s); it comes with the result", error)
            except Exception:
                log.exception("listening for text failed; it comes with the result")
            await asyncio.sleep(self._rhythm.look)

    def _wake(self, reply: Reply) -> None:
        for waiter in tuple(self._waiting.get((reply.tenant, reply.id), ())):
            if waiter.after_run and orjson.loads(reply.result)["run"] <= waiter.after_run:
                continue
            if _resolve(waiter, reply.result):
                self._metrics.count("http_wakes", how="reply")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._rhythm.tick)
            now = time.monotonic()
            count = 0
            for waiter in [waiter for waiters in self._waiting.values() for waiter in waiters]:
                count += 1
                if waiter.look_at <= now:
                    waiter.look_at = now + waiter.look_every
                    self._looks.submit(waiter).add_done_callback(_heard)
            self._metrics.gauge("http_waiters", count)

    async def _look(self, waiters: Sequence[Waiter]) -> list[None]:
        by_tenant: defaultdict[str, set[str]] = defaultdict(set)
        for waiter in waiters:
            by_tenant[waiter.tenant].add(waiter.id)
        for tenant, ids in by_tenant.items():
            for view in await self._jobs.view(tenant, list(ids)):
                if view.state in FINAL and view.result is not None:
                    self._found(tenant, view.id, view.run, view.result)
                elif view.state not in FINAL:
                    self._stands(view)
        return [None] * len(waiters)

    def _stands(self, view: JobView) -> None:
        for waiter in self._waiting.get((view.tenant, view.id), ()):
            if view.run > waiter.after_run and view.state != waiter.state:
                waiter.state = view.state
                waiter.tell(Standing(view.state, view.reason, view.not_before))

    def _hear_chunk(self, chunk: Chunk) -> None:
        for waiter in self._waiting.get((chunk.tenant, chunk.id), ()):
            waiter.tell(chunk)

    def _found(self, tenant: str, id: str, run: int, result: bytes) -> None:
        for waiter in self._waiting.get((tenant, id), ()):
            if run > waiter.after_run and _resolve(waiter, result):
                self._metrics.count("http_wakes", how="ledger")

    def _forget(self, waiter: Waiter) -> None:
        waiters = self._waiting[waiter.tenant, waiter.id]
        waiters.discard(waiter)
        if not waiters:
            del self._waiting[waiter.tenant, waiter.id]


def _resolve(waiter: Waiter, result: bytes | None) -> bool:
    if waiter.result.done():
        return False
    waiter.result.set_result(result)
    return True


def _heard(look: asyncio.Future[None]) -> None:
    # a look that failed is repeated by the next tick; the exception must be taken or asyncio complains
    if not look.cancelled():
        look.exception()
