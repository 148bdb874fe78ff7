"""Answers to the same question in other words, in this process."""

import math
import time
from collections.abc import Callable, Sequence

from domain.caching.semantic import Check, Kept, Known, Place, Seen, Trust
from domain.errors import Permanent

Key = tuple[str, bytes, bytes]


class MemorySimilarAnswers:
    """Implements domain.ports.SimilarAnswers. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Key, tuple[float, Sequence[float], Known]] = {}
        self._trusts: dict[tuple[str, str, int], Trust] = {}

    async def peek(self, batch: Sequence[Place]) -> list[Seen]:
        return [Seen(self._at(place) is not None, self._trust(place).closed) for place in batch]

    async def compare(self, batch: Sequence[tuple[Place, Sequence[float]]]) -> list[Known | None]:
        answers: list[Known | None] = []
        for place, vector in batch:
            found = self._at(place)
            if found is None:
                answers.append(None)
                continue
            _, kept, known = found
            if len(kept) != len(vector):
                raise Permanent(f"a vector of {len(vector)} numbers cannot be compared with one of {len(kept)}")
            answers.append(Known(_cosine(kept, vector), known.entry, known.cache_key, known.tags))
        return answers

    async def keep(self, batch: Sequence[Kept]) -> None:
        for one in batch:
            if one.ttl > 0:
                self._kept[_key(one.place)] = (self._clock() + one.ttl, one.vector, one.known)

    async def note(self, batch: Sequence[Check]) -> list[Trust]:
        for check in batch:
            self._trusts[check.tenant, check.template, check.version] = self._trust(check).after(check)
        return [self._trust(check) for check in batch]

    async def trust(self, tenant: str) -> list[Trust]:
        return [trust for (owner, _, _), trust in sorted(self._trusts.items()) if owner == tenant]

    def _at(self, place: Place) -> tuple[float, Sequence[float], Known] | None:
        found = self._kept.get(_key(place))
        return None if found is None or found[0] <= self._clock() else found

    def _trust(self, of: Place | Check) -> Trust:
        name = (of.tenant, of.template, of.version)
        return self._trusts.get(name) or Trust(*name)


def _key(place: Place) -> Key:
    return place.tenant, place.partition, place.sense


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0
