"""Shows, pauses, resumes and replays the operator's sinks."""

from collections.abc import Callable
from datetime import datetime

import orjson

from api.bodies import read
from api.problems import Problem
from api.sink_schemas import SinkReplay
from api.usage.service import since_of
from api.within import LEDGER, PATIENCE_S, within
from domain.errors import Problem as Reason
from domain.ports import SinkBoard
from domain.sinks.model import parse_place
from domain.sinks.view import fields


class Sinks:
    """Answers are the bytes of the body. Every method raises Problem (unavailable) when PostgreSQL does not answer."""

    def __init__(self, board: SinkBoard, now: Callable[[], datetime]) -> None:
        self._board = board
        self._now = now

    async def page(self) -> bytes:
        seen, now = await within(self._board.look(), PATIENCE_S, LEDGER), self._now()
        return orjson.dumps({"items": [fields(sink, now) for sink in seen], "next_cursor": None})

    async def one(self, name: str) -> bytes:
        """Raises Problem (not_found)."""
        for sink in await within(self._board.look(), PATIENCE_S, LEDGER):
            if sink.name == name:
                return orjson.dumps(fields(sink, self._now()))
        raise _missing(name)

    async def pause(self, name: str, paused: bool) -> bytes:
        """Raises Problem (not_found)."""
        if not await within(self._board.pause(name, paused), PATIENCE_S, LEDGER):
            raise _missing(name)
        return await self.one(name)

    async def replay(self, name: str, body: bytes) -> bytes:
        """Raises Problem (not_found, invalid_request), InvalidRequest."""
        asked = read(SinkReplay, body)
        if (asked.since is None) == (asked.offsets is None):
            reason = Reason("", "exactly one of since and offsets is needed")
            raise Problem("invalid_request", "say where to begin: `since` or `offsets`", (reason,))
        since = None if asked.since is None else since_of(asked.since, self._now(), "/since")
        offsets = {parse_place(text): offset for text, offset in (asked.offsets or {}).items()}
        if await within(self._board.replay(name, since, offsets), PATIENCE_S, LEDGER) is None:
            raise _missing(name)
        return await self.one(name)


def _missing(name: str) -> Problem:
    return Problem("not_found", f"no process of a sink {name[:100]!r} was ever heard of")
