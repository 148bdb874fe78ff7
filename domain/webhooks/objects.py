"""Deliveries to a bucket as objects: JSON lines under gzip, one a day of events. Pure.

The same deliveries are the same object with the same bytes: one that is written again changes nothing.
"""

import gzip
import hashlib
from collections.abc import Iterator, Sequence
from itertools import groupby

from domain.webhooks.kinds import PER_OBJECT
from domain.webhooks.model import Due


def parts(batch: Sequence[Due]) -> Iterator[list[Due]]:
    """What goes into one object each."""
    for _, of_a_day in groupby(sorted(batch, key=lambda one: (one.key.day, one.key.id)), key=lambda one: one.key.day):
        rows = list(of_a_day)
        for at in range(0, len(rows), PER_OBJECT):
            yield rows[at : at + PER_OBJECT]


def key(prefix: str, rows: Sequence[Due]) -> str:
    """`PREFIX/date=2026-01-01/NAME.jsonl.gz`; the name follows from the deliveries in it."""
    name = hashlib.sha256("\n".join(one.key.id for one in rows).encode()).hexdigest()[:32]
    place = f"date={rows[0].key.day.isoformat()}/{name}.jsonl.gz"
    return f"{prefix.strip('/')}/{place}" if prefix.strip("/") else place


def body(rows: Sequence[Due]) -> bytes:
    """A line is the delivery's body with its id as the first field: what was written twice is told by it."""
    lines = [b'{"delivery_id":"%s",%s' % (one.key.id.encode(), one.body[1:]) for one in rows]
    return gzip.compress(b"\n".join(lines) + b"\n", compresslevel=5, mtime=0)
