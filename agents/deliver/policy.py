"""When a write that may succeed later is tried again, and what is written side by side. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from domain.ports import Item


@dataclass(frozen=True, slots=True)
class Policy:
    """`name` is the sink's; waits are seconds. There is no last attempt: records wait on their topic.

    ways:     writes of one batch at the same time, at most
    ordered:  records of one partition go into one write, in their order; otherwise any of them into any
    at_once:  batches that are written at the same time, at most; they are committed in their order. With more than one,
              a later record of a partition may be written before an earlier one.
    """

    name: str
    first_wait_s: float = 0.2
    longest_wait_s: float = 30.0
    ways: int = 1
    ordered: bool = True
    at_once: int = 1

    def wait(self, failures: int, retry_after: float | None, chance: float) -> float:
        """Seconds until the next attempt after `failures` >= 1 in a row.

        Exponential with equal jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015):
        half of the wait is certain, half is `chance` in [0, 1). Never earlier than the other side asked for.
        """
        ceiling: float = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 30))
        return max(ceiling * (1 + chance) / 2, (retry_after or 0.0) * (1 + chance / 10))

    def parts(self, batch: Sequence[Item]) -> list[Sequence[Item]]:
        """At most `ways` parts of about the same size, together the batch; none is empty."""
        if self.ways == 1:
            return [batch]
        if not self.ordered:
            size = max(1, -(-len(batch) // self.ways))
            return [batch[at : at + size] for at in range(0, len(batch), size)]
        places: dict[tuple[str, int], list[Item]] = defaultdict(list)
        for item in batch:
            places[item.topic, item.partition].append(item)
        parts: list[list[Item]] = [[] for _ in range(self.ways)]
        for items in sorted(places.values(), key=len, reverse=True):
            min(parts, key=len).extend(items)
        return [part for part in parts if part]
