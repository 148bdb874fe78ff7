"""prompt.results and prompt.events into the durable queue, for those tenants that want to be told."""

from collections.abc import Callable, Sequence
from datetime import datetime

from domain.ports import Deliveries, Endpoints, Item, Refused
from domain.webhooks.model import Message, Subscriptions
from domain.webhooks.payload import Unfit, of_event, of_result, subscribers
from topics.headers import CALLBACK_URL
from topics.table import EVENTS, RESULTS

AT_ONCE = 500
"""Deliveries of one statement."""


class QueueSink:
    """Implements domain.ports.Sink. `nudge` is called when there is something new to send.

    A batch costs one small question (has any endpoint changed?), and nothing more where no tenant of it has endpoints:
    a change holds for every record that is read after it.
    """

    topics: tuple[str, ...] = (RESULTS, EVENTS)

    def __init__(
        self, endpoints: Endpoints, deliveries: Deliveries, now: Callable[[], datetime], nudge: Callable[[], None]
    ) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._now = now
        self._nudge = nudge
        self._known = Subscriptions(0)

    async def open(self) -> None:
        return

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        self._known = await self._endpoints.subscriptions(self._known.version) or self._known
        messages, refused = [], []
        for item in batch:
            try:
                messages += self._messages(item)
            except Unfit as error:
                refused.append(Refused(item, f"the record {error}"))
        fresh = 0
        for start in range(0, len(messages), AT_ONCE):
            fresh += await self._deliveries.put(messages[start : start + AT_ONCE], self._now())
        if fresh:
            self._nudge()
        return refused

    async def close(self) -> None:
        return

    def _messages(self, item: Item) -> list[Message]:
        callback = _callback(item)
        wanted = subscribers(self._known, item.value)
        if not wanted and callback is None:
            return []
        return of_result(item.value, wanted, callback) if item.topic == RESULTS else of_event(item.value, wanted)


def _callback(item: Item) -> str | None:
    for name, value in item.headers:
        if name == CALLBACK_URL:
            return value.decode("utf-8", "replace")
    return None
