"""Questions by how often they were asked, and how they are asked again so that their answers are known. Pure."""

from dataclasses import dataclass
from typing import Any

from domain.ledger.model import Source

_OF_THE_FIRST_TIME = frozenset({"deadline", "callback_url", "submitted_at", "rerun", "subject", "on_limit"})


@dataclass(frozen=True, slots=True)
class Asked:
    """`question`: the 64 hex digits of a cache key. `source`: where the newest request that asks it came from."""

    question: str
    times: int
    source: Source


def warming(fields: dict[str, Any], question: str, stamp: str) -> dict[str, Any]:
    """A request like this one, asked only so that its answer is known: in the bulk lane, and free where it is known.

    stamp: what makes its id another one than that of the last time. Its tags stay: answers are invalidated by them.
    """
    kept = {name: value for name, value in fields.items() if name not in _OF_THE_FIRST_TIME}
    metadata = {**(fields.get("metadata") or {}), "warm": True}
    use = "semantic" if fields.get("cache") == "semantic" else "use"
    return {**kept, "id": f"warm-{question[:24]}-{stamp}", "lane": "bulk", "cache": use, "metadata": metadata}
