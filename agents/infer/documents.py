"""What a request refers to, read before its call: under a bound of memory, and without a place in any budget yet.

It is read before the request is taken: what it holds decides who can take it and what it may cost. Two workers may read
the same document for the same request; only one of them calls.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from agents.contract import Outside
from agents.infer.room import Loan, Room
from domain.errors import InvalidRequest, Permanent, Transient
from domain.ledger.results import Ending, rejected
from domain.metrics import Metrics
from domain.outgoing.places import Places
from domain.ports import ContentFilter, Documents, Opened, Prompt
from domain.routing import media
from domain.routing.references import Reference, read_here, refused, replaced
from topics.call import PromptCall

READ_S = 30.0
ROOM_S = 5.0
"""Who waits for memory for longer does so as a row of the ledger."""
COPIES = 4
"""What a document takes of memory until its call was answered: itself, as text or base64, in the body, on its way."""
PATIENCE_S = 600.0
LEAST_S, MOST_S = 2.0, 60.0
_AT_ONCE = 256 * 1024
"""More is turned into a part in a thread: the others go on."""
_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Read:
    """`call` with what it refers to in it; `ending` where it cannot be asked, `after` seconds where it has to wait."""

    call: PromptCall
    ending: Ending | None = None
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class ReadingPorts:
    """What reading works with. `most`: bytes of the documents of a request."""

    documents: Documents
    places: Places
    most: int
    room: Room
    metrics: Metrics
    clock: Callable[[], datetime]
    content_filter: ContentFilter | None = None
    jitter: Callable[[], float] = random.random


class Reading:
    """Of one worker; `outside` is where its waits count."""

    def __init__(self, ports: ReadingPorts, outside: Outside) -> None:
        self._ports = ports
        self._outside = outside
        self._since: dict[tuple[str, str, int], datetime] = {}

    def needed(self, call: PromptCall) -> bool:
        """Whether there is anything to read, or to refuse."""
        if not any(isinstance(message.get("content"), list) for message in call.messages):
            return False
        try:
            return bool(read_here(call.messages, call.tenant, self._ports.places))
        except InvalidRequest:
            return True

    @asynccontextmanager
    async def read(self, call: PromptCall, run: int) -> AsyncIterator[Read]:
        """The memory is lent until the block ends."""
        async with AsyncExitStack() as lent:
            yield await self._read(call, run, lent)

    async def _read(self, call: PromptCall, run: int, lent: AsyncExitStack) -> Read:
        key = (call.tenant, call.id, run)
        try:
            with self._outside.wait(READ_S + ROOM_S):
                async with asyncio.timeout(READ_S + ROOM_S):
                    messages = await self._messages(call, lent)
                    stopped = await self._review(call, messages)
        except TimeoutError:
            return self._later(key, call, Transient(f"its documents could not be read within {READ_S + ROOM_S:g} s"))
        except Transient as error:
            return self._later(key, call, error)
        except Permanent as error:
            self._since.pop(key, None)
            self._ports.metrics.count("documents", outcome="refused")
            problems = error.problems if isinstance(error, InvalidRequest) else ()
            return Read(call, rejected("invalid_request", str(error), problems))
        self._since.pop(key, None)
        if stopped is not None:
            return Read(call, rejected("content_blocked", f"the content filter stopped a document: {stopped[:200]}"))
        return Read(replace(call, messages=messages, cache_key=None))

    def _later(self, key: tuple[str, str, int], call: PromptCall, error: Transient) -> Read:
        """Wait longer each time; after ten minutes it is over."""
        now = self._ports.clock()
        passed = (now - self._since.setdefault(key, now)).total_seconds()
        while len(self._since) > _KNOWN:
            self._since.pop(next(iter(self._since)))
        if passed >= PATIENCE_S:
            del self._since[key]
            self._ports.metrics.count("documents", outcome="refused")
            reason = f"a document could not be read for {passed / 60:.0f} minutes: {error}"
            return Read(call, rejected("invalid_request", reason))
        self._ports.metrics.count("documents", outcome="later")
        after = min(MOST_S, max(LEAST_S, passed / 2)) * (0.75 + self._ports.jitter() / 2)
        return Read(call, after=max(after, min(error.retry_after or 0.0, PATIENCE_S / 2)))

    async def _messages(self, call: PromptCall, lent: AsyncExitStack) -> list[dict[str, Any]]:
        """Raises Transient, Permanent, TimeoutError."""
        wanted = read_here(call.messages, call.tenant, self._ports.places)
        found = await self._data(wanted, lent)
        parts = {}
        for reference in wanted:
            content_type, data = found[reference.url]
            if len(data) > _AT_ONCE:
                part = await asyncio.to_thread(media.part, reference, content_type, data)
            else:
                part = media.part(reference, content_type, data)
            parts[reference.message, reference.part] = part
        return replaced(call.messages, parts)

    async def _data(self, wanted: Sequence[Reference], lent: AsyncExitStack) -> dict[str, tuple[str, bytes]]:
        """By address the content type and the bytes; each once, all within one bound."""
        by_url, found, size = {one.url: one for one in wanted}, {}, 0
        async with AsyncExitStack() as heads:
            opened = {url: await self._opened(one, heads) for url, one in by_url.items()}
            loan = await self._loan([(by_url[url], document) for url, document in opened.items()])
            lent.callback(loan.end)
            for url, document in opened.items():
                data, whole = await document.read(self._ports.most - size)
                if not whole:
                    raise self._too_large(by_url[url])
                size += len(data)
                found[url] = (document.content_type, data)
        loan.keep(size * COPIES)
        self._ports.metrics.count("documents", len(found), outcome="read")
        self._ports.metrics.count("document_bytes", size)
        return found

    async def _opened(self, reference: Reference, heads: AsyncExitStack) -> Opened:
        try:
            return await heads.enter_async_context(self._ports.documents.open(reference.url))
        except Permanent as error:
            raise refused(reference, f"cannot be read: {error}") from error

    async def _loan(self, opened: Sequence[tuple[Reference, Opened]]) -> Loan:
        """One for all of them: who held a part and waited for the rest would hold up the others for nothing."""
        announced, unknown = 0, False
        for reference, document in opened:
            announced += document.size or 0
            unknown = unknown or document.size is None
            if announced > self._ports.most:
                raise self._too_large(reference)
        try:
            async with asyncio.timeout(ROOM_S):
                return await self._ports.room.lend((self._ports.most if unknown else announced) * COPIES)
        except TimeoutError:
            raise Transient("other documents take the memory of this worker") from None

    def _too_large(self, reference: Reference) -> InvalidRequest:
        most = f"{self._ports.most / (1 << 20):g} MiB"
        return refused(reference, f"takes the documents of the request above {most} (STRUCTURED_PROMPT_FETCH_MAX_MB)")

    async def _review(self, call: PromptCall, messages: list[dict[str, Any]]) -> str | None:
        """Intake's filter saw the request without its documents. Raises Unavailable."""
        if self._ports.content_filter is None:
            return None
        (reason,) = await self._ports.content_filter.review([Prompt(call.tenant, messages)])
        return reason
