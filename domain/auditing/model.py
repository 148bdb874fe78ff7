"""The ledger's attempts against the bill's rows. Pure: one is read from PostgreSQL, the other from ClickHouse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

NOTHING = Decimal(0)


class Key(NamedTuple):
    """An attempt. Keys sort as both engines sort them: by the bytes of their texts."""

    tenant: str
    id: str
    run: int
    attempt: int


FIRST = Key("", "", 0, 0)
"""Before every attempt."""


@dataclass(frozen=True, slots=True)
class Line:
    """An attempt in the ledger. due: it ended and was produced long enough ago to be on the bill."""

    key: Key
    cost_usd: Decimal
    due: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """How many attempts are not on the bill, or with another price, how many dollars that is, and the first of them."""

    attempts: int = 0
    usd: Decimal = NOTHING
    first: Key | None = None

    def plus(self, other: "Difference") -> "Difference":
        return Difference(self.attempts + other.attempts, self.usd + other.usd, self.first or other.first)


def difference(ledger: Sequence[Line], bill: Mapping[Key, Decimal]) -> Difference:
    """Of what is due. What the bill has beyond it is not looked at: it may be of an attempt nobody heard of (L8)."""
    off = [line for line in ledger if line.due and bill.get(line.key) != line.cost_usd]
    usd = sum((abs(line.cost_usd - bill.get(line.key, NOTHING)) for line in off), NOTHING)
    return Difference(len(off), usd, off[0].key if off else None)
