"""Keyset cursors: the place of a page's last row, opaque to the client."""

import base64
import binascii
from datetime import datetime

import orjson

from api.problems import Problem
from domain.errors import Problem as Reason
from topics.base import parse_time


def encode_cursor(at: datetime, id: str) -> str:
    """Microseconds are kept: rows may share a millisecond."""
    return base64.urlsafe_b64encode(orjson.dumps([at.isoformat(), id])).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """The inverse. Raises Problem (invalid_request)."""
    try:
        at, id = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        return parse_time(at), str(id)
    except (binascii.Error, ValueError, TypeError):
        reason = Reason("/query/cursor", "take next_cursor of the previous page as it is")
        raise Problem("invalid_request", "the cursor is not one of ours", (reason,)) from None
