"""Orders to sinks and their reports in this process: the twin of connectors/postgres/sink_board.py."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from domain.sinks.model import Heard, Orders, Place, Report, Rewind, SinkView


class MemorySinkBoard:
    """Implements domain.ports.SinkBoard."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._orders: dict[str, Orders] = {}
        self._heard: dict[str, dict[str, Heard]] = {}

    async def tell(self, report: Report) -> Orders:
        self._heard.setdefault(report.sink, {})[report.member] = Heard(report, self._now())
        return self._orders.setdefault(report.sink, Orders())

    async def rewound(self, sink: str, number: int, places: Iterable[Place]) -> None:
        orders = self._orders[sink]
        if orders.rewind is not None and orders.rewind.number == number:
            self._orders[sink] = replace(orders, rewound=orders.rewound | frozenset(places))

    async def pause(self, sink: str, paused: bool) -> bool:
        orders = self._orders.get(sink)
        if orders is None:
            return False
        since = orders.paused_at or self._now()
        self._orders[sink] = replace(orders, paused_at=since if paused else None)
        return True

    async def replay(self, sink: str, since: datetime | None, offsets: Mapping[Place, int]) -> int | None:
        orders = self._orders.get(sink)
        if orders is None:
            return None
        number = 1 + (orders.rewind.number if orders.rewind else 0)
        self._orders[sink] = replace(orders, rewind=Rewind(number, since, dict(offsets)), rewound=frozenset())
        return number

    async def look(self) -> list[SinkView]:
        return [
            SinkView(name, orders, tuple(heard for _, heard in sorted(self._heard.get(name, {}).items())))
            for name, orders in sorted(self._orders.items())
        ]
