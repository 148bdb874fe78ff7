"""The record on prompt.requests that an event of a source becomes, when it is read and when it is redriven. Pure."""

from collections.abc import Mapping
from typing import Any

from domain.ports import Item, Record
from domain.sources.mapping import Unmappable
from domain.sources.model import HEADER, Source, encoded
from topics import headers as head
from topics.base import format_time
from topics.table import REQUESTS


def fields_of(source: Source, event: Any, item: Item) -> dict[str, Any]:
    """The fields of the request; without a mapped id its place names it. Raises Unmappable."""
    return source.request(event, f"{item.topic}:{item.partition}:{item.offset}")


def request_record(source: str, item: Item, fields: Mapping[str, Any]) -> Record:
    """Key and headers pass through, `source` is named in a header. Raises Unmappable."""
    value = encoded(fields)
    try:
        carried = head.restored(head.carried(item.headers))
    except ValueError as error:
        raise Unmappable(str(error)) from None
    own = [*(pair for pair in carried if pair[0] != HEADER), (HEADER, source.encode())]
    parent = head.text_of(dict(item.headers), head.TRACEPARENT) if item.headers else None
    named = head.request_id(fields["tenant"], fields["id"])
    headers = head.REQUEST.headers(named, format_time(item.timestamp), parent, own)
    return Record(REQUESTS, value, item.key, headers)
