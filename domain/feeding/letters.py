"""Dead letters of sources: records of somebody's topic or bucket that could not be mapped to a request. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from domain.errors import InvalidRequest
from domain.feeding.requests import fields_of, request_record
from domain.letters.model import Letter
from domain.letters.redrive import kept
from domain.ports import Item, Record
from domain.sources.mapping import Unmappable
from domain.sources.model import Source
from topics.base import parse_time

_STAGE = "deliver.source-"


def stage_of(source: str) -> str:
    """The stage of a source's dead letters."""
    return _STAGE + source


def source_of(letter: Letter) -> str | None:
    """The name of the source that a letter is of, None where it is of none."""
    return letter.stage.removeprefix(_STAGE) if letter.stage.startswith(_STAGE) else None


def event_of(letter: Letter) -> Item:
    """The record as the source read it: its topic with the whole name, which the mapped id may hold.

    Raises InvalidRequest when it was too large to be kept whole.
    """
    record = kept(letter)
    body = orjson.loads(letter.body or b"{}")
    place = str(body["topic"]), int(body["partition"]), int(body["offset"])
    return Item(*place, parse_time(body["timestamp"]), record.key, record.value, record.headers)


def mapped(source: Source, item: Item, event: Any) -> dict[str, Any]:
    """The request that `event`, decoded of `item`, is by the source as it is now. Raises InvalidRequest."""
    reads = source.topic or (source.bucket.topic if source.bucket else None)
    if item.topic != reads:
        now = f"reads {reads!r} now" if reads else "has no topic any more"
        raise InvalidRequest("invalid_request", f"it is of {item.topic!r}, and its source {source.name!r} {now}")
    if source.since is not None and item.timestamp < source.since:
        raise InvalidRequest("invalid_request", f"it was logged before the `since` of its source {source.name!r}")
    try:
        fields = fields_of(source, event, item)
        request_record(source.name, item, fields)
    except Unmappable as error:
        raise unmapped(source.name, error) from None
    return fields


def unmapped(source: str, error: Unmappable) -> InvalidRequest:
    said = f"the mapping of the source {source!r} as it is now does not fit it: {error}"
    return InvalidRequest("invalid_request", said)


def published(letter: Letter, value: bytes) -> Record:
    """The record of a redriven letter of a source; `value` is the request that it was mapped to."""
    fields: Mapping[str, Any] = orjson.loads(value)
    return request_record(source_of(letter) or "", event_of(letter), fields)
