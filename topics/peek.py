"""Who bytes that are no JSON may be from."""

import re
from itertools import islice

_BYTES = 64 * 1024
_TOKENS = 8 * 1024
# possessive, and a match at every quote: linear on any input
_TOKEN = re.compile(rb'"((?:[^"\\]++|\\.?)*+)("?)|([{}\[\]:,])', re.DOTALL)


def named(raw: bytes) -> dict[str, str]:
    """`id` and `tenant` at the top of an object that cannot be parsed, from its first 64 KiB and 8,192 tokens: each
    takes a microsecond, and brackets alone would be 64 thousand.
    """
    head = raw[:_BYTES]
    found: dict[str, str] = {}
    if not head.lstrip().startswith(b"{"):
        return found
    depth, name, value_next = 0, b"", False
    for text, closed, mark in (m.group(1, 2, 3) for m in islice(_TOKEN.finditer(head), _TOKENS)):
        if mark is not None:
            depth += (mark in b"{[") - (mark in b"}]")
            value_next = depth == 1 and mark == b":"
        elif depth == 1 and closed and not value_next:
            name = text
        elif depth == 1 and closed and name in (b"id", b"tenant"):
            found.setdefault(name.decode(), text.decode("ascii", "replace"))
        if len(found) == 2 or (depth < 1 and mark is not None):
            break
    return found
