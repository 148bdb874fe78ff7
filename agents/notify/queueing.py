"""prompt.results and prompt.events into the durable queue, for those tenants that want to be told."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from domain.ports import Deliveries, Endpoints, Item, Refused
from domain.webhooks.model import Message, Subscriptions
from domain.webhooks.payload import Unfit, of_event, of_result, subscribers
from topics.headers import CALLBACK_URL
from topics.table import EVENTS, RESULTS

AT_ONCE, SIZE_AT_ONCE = 500, 4 * 1024 * 1024
"""Deliveries of one statement, and the bytes of their bodies: a result goes to every endpoint of its tenant."""


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
        refused: list[Refused] = []
        messages: list[Message] = []
        size = 0
        for message in self._all(batch, refused):
            messages.append(message)
            size += len(message.body)
            if len(messages) >= AT_ONCE or size >= SIZE_AT_ONCE:
                await self._put(messages)
                messages, size = [], 0
        await self._put(messages)
        return refused

    async def close(self) -> None:
        return

    def _all(self, batch: Sequence[Item], refused: list[Refused]) -> Iterator[Message]:
        """The deliveries of a batch, one after the other; what is no message of ours goes to `refused`."""
        for item in batch:
            try:
                yield from self._messages(item)
            except Unfit as error:
                refused.append(Refused(item, f"the record {error}"))

    async def _put(self, messages: Sequence[Message]) -> None:
        if await self._deliveries.put(messages, self._now()):
            self._nudge()

    def _messages(self, item: Item) -> Iterable[Message]:
        callback = _callback(item)
        wanted = subscribers(self._known, item.value)
        if not wanted and callback is None:
            return ()
        return of_result(item.value, wanted, callback) if item.topic == RESULTS else of_event(item.value, wanted)


def _callback(item: Item) -> str | None:
    for name, value in item.headers:
        if name == CALLBACK_URL:
            return value.decode("utf-8", "replace")
    return None
