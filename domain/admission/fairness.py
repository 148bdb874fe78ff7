"""Whose turn it is: a queue for each tenant, served in turn. Pure."""

from collections import deque
from collections.abc import Callable, Iterator, KeysView, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """First in, first out within a tenant; between tenants one each in turn, however many one of them has.

    A tenant that comes is served after those whose turn comes before: at most one item of every other tenant is taken
    first. Both verbs take constant time.
    """

    def __init__(self) -> None:
        self._queues: dict[bytes, deque[T]] = {}
        self._turns: deque[bytes] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return (item for queue in self._queues.values() for item in queue)

    @property
    def tenants(self) -> KeysView[bytes]:
        """Those that have something in it."""
        return self._queues.keys()

    def put(self, tenant: bytes, item: T) -> None:
        queue = self._queues.get(tenant)
        if queue is None:
            queue = self._queues[tenant] = deque()
            self._turns.append(tenant)
        queue.append(item)
        self._count += 1

    def take(self) -> T:
        """The next one. Raises IndexError when there is none."""
        tenant = self._turns.popleft()
        queue = self._queues[tenant]
        item = queue.popleft()
        if queue:
            self._turns.append(tenant)
        else:
            del self._queues[tenant]
        self._count -= 1
        return item

    def drop(self, gone: Callable[[T], bool]) -> None:
        """Forget the items of which `gone` is true; the turns stay as they are."""
        for tenant, queue in list(self._queues.items()):
            kept = deque(item for item in queue if not gone(item))
            self._count += len(kept) - len(queue)
            if kept:
                self._queues[tenant] = kept
            else:
                del self._queues[tenant]
        self._turns = deque(tenant for tenant in self._turns if tenant in self._queues)


def shares(wanted: Sequence[int], most: int) -> list[int]:
    """How many each gets of `most`, none more than it wants: equal shares, what one does not want is the others'.

    What cannot be divided is the first ones'.
    """
    given = [0] * len(wanted)
    left = min(most, sum(wanted))
    open_ = [n for n, want in enumerate(wanted) if want > 0]
    while left > 0:
        each = max(1, left // len(open_))
        for n in open_:
            more = min(each, wanted[n] - given[n], left)
            given[n] += more
            left -= more
        open_ = [n for n in open_ if given[n] < wanted[n]]
    return given
