"""Keyset cursors: the place of a page's last row, opaque to the client."""

import base64
import binascii
import re
from datetime import datetime

import orjson

from api.problems import Problem
from domain.errors import Problem as Reason
from topics.base import parse_time

_ID = re.compile(r"[A-Za-z0-9._:@=+,~-]{1,255}")


def is_id(value: object) -> bool:
    """Whether this can be the id of a request; what cannot is not worth a query."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def encode_cursor(at: datetime, id: str) -> str:
    """Microseconds are kept: rows may share a millisecond."""
    return base64.urlsafe_b64encode(orjson.dumps([at.isoformat(), id])).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """The inverse. Raises Problem (invalid_request)."""
    try:
        at, id = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        place = parse_time(at), id
    except (binascii.Error, ValueError, TypeError, OverflowError):
        raise _foreign() from None
    if not is_id(id):
        raise _foreign()
    return place


def _foreign() -> Problem:
    reason = Reason("/query/cursor", "take next_cursor of the previous page as it is")
    return Problem("invalid_request", "the cursor is not one of ours", (reason,))
