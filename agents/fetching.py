"""What a consumer takes of what its client has fetched, and when that fetches more.

A client hands out its buffers in the order they came. Behind a flood of one topic, of which it holds thousands of
records, another topic would wait until all of them were handed out.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any, Protocol


class Place(Protocol):
    """A partition of a topic."""

    @property
    def topic(self) -> str: ...


Fetched = dict[Any, list[Any]]
"""Records by partition."""


def by_topic(fetched: Iterable[Place], active: Collection[Place] | None) -> list[set[Place]]:
    """The partitions of which something is here, topic by topic; the topic with the fewest first."""
    topics: dict[str, set[Place]] = {}
    for place in fetched:
        if not active or place in active:
            topics.setdefault(place.topic, set()).add(place)
    return sorted(topics.values(), key=len)


async def in_turn(
    fetch: Callable[[set[Place], float, int], Awaitable[Fetched]], topics: Sequence[set[Place]], most: int | None
) -> Fetched:
    """At most so many records, of every topic as many; what one does not have is the share of those after it.

    fetch: gives what is here of these partitions, without waiting. Raises when it has nothing but an error.
    """
    records: Fetched = {}
    left = most or 0
    try:
        for number, places in enumerate(topics):
            found = await fetch(places, 0, max(1, left // (len(topics) - number)))
            left -= sum(map(len, found.values()))
            records |= found
    except Exception:
        # what was taken must be handed on; the next fetch fails by itself
        if not records:
            raise
    return records


SOON_S = 0.03
"""While records lie here untaken, so long nothing is asked for, and so long the broker may keep what is asked then."""


def ask_soon(fetcher: Any) -> None:
    """Let nobody wait at the broker because of what lies here.

    While records of a partition lie untaken, aiokafka asks for nothing for 0.1 s, then for all partitions but those.
    The broker keeps a fetch that has nothing to give, and no other is sent meanwhile: whoever came into a partition
    that it left out, or before it was sent, waited for that.
    """
    actions, patience_ms = fetcher._get_actions_per_node, fetcher._fetch_max_wait_ms

    def ask(assignment: Any) -> Any:
        fetcher._fetch_max_wait_ms = int(1000 * SOON_S) if fetcher._records else patience_ms
        return actions(assignment)

    fetcher._prefetch_backoff = SOON_S
    fetcher._get_actions_per_node = ask
