"""Where the rows of a range of offsets lie in a bucket. Pure.

A key is made of topic, partition and offsets alone, beside what Hive calls partitions, so that the same range is the
same objects, whoever writes it and how often.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.sinks.columns import TABLES
from domain.sinks.model import Place

_MANIFEST = re.compile(r".*/(\d{20})-(\d{20})\.json")
_OBJECT = re.compile(r"(?:.*/)?\w+/tenant=[^/]+/date=[0-9-]+/hour=\d\d/([a-z.]+)-(\d{5})-(\d{20})-(\d{20})\.[a-z.]+")


@dataclass(frozen=True, slots=True)
class Range:
    """Offsets of one partition, both ends included."""

    first: int
    last: int

    def holds(self, offset: int) -> bool:
        return self.first <= offset <= self.last


def object_key(prefix: str, place: Place, span: Range, tenant: str, hour: datetime) -> str:
    """`results/tenant=acme/date=2026-01-01/hour=13/prompt.results-00003-<first>-<last>`, without its ending."""
    name = f"{place[0]}-{place[1]:05}-{span.first:020}-{span.last:020}"
    return f"{prefix}{TABLES[place[0]]}/tenant={tenant}/date={hour:%Y-%m-%d}/hour={hour:%H}/{name}"


def manifests_of(prefix: str, place: Place) -> str:
    """What the keys of a partition's manifests begin with. Readers of tables pass over names that begin with `_`."""
    return f"{prefix}_manifests/{place[0]}/{place[1]:05}/"


def manifest_key(prefix: str, place: Place, span: Range) -> str:
    """Named by its last offset, so that a listing from an offset on begins with the range that holds it."""
    return f"{manifests_of(prefix, place)}{span.last:020}-{span.first:020}.json"


def before(prefix: str, place: Place, offset: int) -> str:
    """The key behind which the manifests of `offset` and everything later are listed."""
    return f"{manifests_of(prefix, place)}{offset:020}-"


def spans(keys: Iterable[str]) -> list[Range]:
    """The ranges that manifests are of."""
    found = (_MANIFEST.fullmatch(key) for key in keys)
    return [Range(int(one[2]), int(one[1])) for one in found if one]


def missing(offsets: Sequence[int], stored: Sequence[Range]) -> list[Sequence[int]]:
    """Of ascending `offsets`: those in no stored range, in one piece between two of them."""
    pieces: list[list[int]] = [[]]
    for offset in offsets:
        if any(span.holds(offset) for span in stored):
            if pieces[-1]:
                pieces.append([])
        else:
            pieces[-1].append(offset)
    return [piece for piece in pieces if piece]


def told_by(key: str) -> tuple[Place, Range] | None:
    """Of which partition and offsets an object is; None for what is none of the sink's."""
    found = _OBJECT.fullmatch(key)
    return None if found is None else ((found[1], int(found[2])), Range(int(found[3]), int(found[4])))


def covered(span: Range, stored: Iterable[Range]) -> bool:
    """Whether each of its offsets lies in one of these."""
    reached = span.first
    for one in sorted(stored, key=lambda one: one.first):
        if one.first > reached:
            break
        reached = max(reached, one.last + 1)
    return reached > span.last
