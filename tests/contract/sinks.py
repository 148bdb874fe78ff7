"""Every operator's sink with an independent look at what its destination holds."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from domain.ports import Item, Sink

Row = tuple[str, ...]
"""(topic, tenant, id of a result or call, or of an event)."""


@dataclass
class Subject:
    """A sink under test.

    held:    what the destination holds, by a connection of its own, sorted; a row that is there twice is listed twice
    away:    the same kind of sink where nothing answers
    poison:  values it refuses on prompt.results
    """

    sink: Sink
    held: Callable[[], Awaitable[list[Row]]]
    away: Sink
    poison: tuple[bytes, ...] = (b"poison \xff", b"[]", b'{"id": "x"}')


def numbered(items: list[Item]) -> list[Item]:
    """As one partition of each topic delivers them."""
    offsets: dict[str, int] = {}
    given = []
    for item in items:
        offset = offsets[item.topic] = offsets.get(item.topic, -1) + 1
        given.append(item._replace(offset=offset, headers=[("h", b"\xff")]))
    return given
