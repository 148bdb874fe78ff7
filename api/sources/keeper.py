"""Sources for operators: those of the file to look at, those made over HTTP to make, replace and remove."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from api.bodies import read
from api.problems import Problem
from api.source_schemas import NewSource
from api.sources.book import SourceBook
from api.within import LEDGER, PATIENCE_S, within
from domain.errors import MissingExtra
from domain.errors import Problem as Reason
from domain.ports import SinkBoard
from domain.sinks.model import Orders, SinkView
from domain.sinks.view import fields as view
from domain.sources.model import Source, Wrong, circles
from domain.sources.stored import Stored, checked, kept, parted, shown
from topics.base import format_time

MOST = 100
"""A runner and its clients for each, in one process."""
_STATUS = ("state", "paused_at", "lag", "rows", "refused", "errors", "detail")
_UNHEARD = "no process of sources was heard of for 30 s: start `structured-prompt sources`"


class SourceKeeper:
    """Answers are the bytes of the body. Raises Problem: invalid_request, not_found, in_use for what the file has,
    unavailable when PostgreSQL does not answer.
    """

    def __init__(self, book: SourceBook, board: SinkBoard, pepper: bytes, now: Callable[[], datetime]) -> None:
        self._book = book
        self._board = board
        self._pepper = pepper
        self._now = now

    async def listing(self) -> bytes:
        """Every source, by name; secrets and passwords stay here."""
        found = await self._all()
        items = [item for _, item in sorted(found.items())]
        return orjson.dumps({"items": items, "next_cursor": None, "file_error": self._book.file_error})

    async def one(self, name: str) -> bytes:
        found = (await self._all()).get(name)
        if found is None:
            raise _missing(name)
        return orjson.dumps(found)

    async def put(self, name: str, body: bytes) -> tuple[bytes, bool]:
        """(the source, whether it is new)."""
        await self._book.follow()
        self._not_of_the_file(name)
        asked = read(NewSource, body).model_dump(mode="json", by_alias=True, exclude_unset=True)
        fields, values = parted(asked)
        try:
            checked(name, fields, values)
            await self._check_beside(name, fields)
            made = kept(name, fields, values, self._pepper, self._now())
        except Wrong as error:
            raise _wrong(error) from None
        except MissingExtra as error:
            raise Problem("invalid_request", str(error)) from None
        is_new = await within(self._book.store.put(made), PATIENCE_S, LEDGER)
        self._book.changed()
        return await self.one(name), is_new

    async def delete(self, name: str) -> None:
        await self._book.follow()
        self._not_of_the_file(name)
        if not await within(self._book.store.delete(name), PATIENCE_S, LEDGER):
            raise _missing(name)
        self._book.changed()

    def _not_of_the_file(self, name: str) -> None:
        if name in self._book.file:
            raise Problem(
                "in_use",
                f"the source {name!r} is one of the file STRUCTURED_PROMPT_SOURCES, and changed there; "
                "take another name, or take it out of the file, which is followed within seconds",
            )

    async def _check_beside(self, name: str, fields: Mapping[str, Any]) -> None:
        """Raises Wrong where it does not go with the others."""
        stored = {one.name: one.fields for one in await self._book.stored()}
        if name not in stored and len(stored) >= MOST:
            raise Wrong([f"there are {MOST} sources over HTTP already; remove one first"])
        before = {name: (one.get("topic"), one.get("output")) for name, one in stored.items()}
        before |= {name: (one.topic, one.output) for name, one in self._book.file.items()}
        after = before | {name: (fields.get("topic"), fields.get("output"))}
        known = circles(before)
        if new := [reason for named, reason in circles(after).items() if named not in known or named == name]:
            raise Wrong(new)

    async def _all(self) -> dict[str, dict[str, Any]]:
        await self._book.follow()
        stored = {one.name: one for one in await self._book.stored()}
        heard = {one.name: one for one in await within(self._board.look(), PATIENCE_S, LEDGER)}
        found = {name: _of_http(one) for name, one in stored.items()}
        found |= {name: _of_file(one) for name, one in self._book.file.items()}
        for name, item in found.items():
            if item["topic"] or item["bucket"]:
                item["status"] = self._status(heard.get(f"source-{name}"))
        return found

    def _status(self, heard: SinkView | None) -> dict[str, Any]:
        known = view(heard or SinkView("", Orders()), self._now())
        status = {name: known[name] for name in _STATUS}
        if status["state"] == "stopped":
            status["detail"] = _UNHEARD
        return status


def _of_file(source: Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "origin": "file",
        "topic": source.topic,
        "bucket": f"s3://{source.bucket.bucket}/{source.bucket.prefix}" if source.bucket else None,
        "format": source.format.name,
        "since": format_time(source.since) if source.since else None,
        "output": source.output,
        "tenant": source.tenant,
        "webhook": _place(source.name) if source.secrets else None,
        "changed_at": None,
        "definition": None,
        "status": None,
    }


def _of_http(stored: Stored) -> dict[str, Any]:
    fields = stored.fields
    bucket, since = fields.get("bucket"), fields.get("since")
    return {
        "name": stored.name,
        "origin": "http",
        "topic": fields.get("topic"),
        "bucket": f"s3://{bucket['name']}/{bucket.get('prefix', '')}" if bucket else None,
        "format": fields.get("format", "json"),
        "since": format_time(datetime.fromisoformat(since)) if since else None,
        "output": fields.get("output"),
        "tenant": fields.get("request", {}).get("tenant"),
        "webhook": _place(stored.name) if fields.get("webhook") else None,
        "changed_at": format_time(stored.changed_at),
        "definition": shown(fields),
        "status": None,
    }


def _place(name: str) -> str:
    return f"/v1/sources/{name}/events"


def _wrong(error: Wrong) -> Problem:
    reasons = []
    for reason in error.reasons:
        place, colon, said = reason.partition(": ")
        known = bool(colon) and place.split(".")[0] in _FIELDS
        reasons.append(Reason("/" + place.replace(".", "/"), said) if known else Reason("", reason))
    return Problem("invalid_request", f"the source is wrong: {error}", tuple(reasons))


def _missing(name: str) -> Problem:
    return Problem("not_found", f"there is no source {name[:64]!r}; GET /v1/sources lists them")


_FIELDS = {field.alias or name for name, field in NewSource.model_fields.items()}
