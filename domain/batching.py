"""Natural batches (rule L17): the next batch is what arrived while the last one ran. No timers, no waiting."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batcher(Generic[Item, Answer]):
    """Collects single items into calls of `run`, which answers in the order of its batch.

    At most one call is in flight, so a statement of a kind never competes with itself. An answer that is an
    exception instance is raised to the one who submitted that item; an exception of `run` to all of its batch.
    """

    def __init__(
        self, run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]], max_size: int = 500
    ) -> None:
        self._run = run
        self._max_size = max_size
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    def submit(self, item: Item) -> asyncio.Future[Answer]:
        """The answer to `item`, as soon as its batch is done. Cancelling the future does not undo the item."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._worker is None:
            self._worker = asyncio.ensure_future(self._work())
        return future

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._one_batch()
        finally:
            self._worker = None

    async def _one_batch(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._max_size))]
        try:
            _resolve_all(batch, await self._run([item for item, _ in batch]))
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - every waiter of this batch gets it
            _resolve_all(batch, [error] * len(batch))
        finally:
            # the error knows this frame, and the futures the error: a circle that would keep the items
            batch.clear()


def _resolve_all(batch: Sequence[tuple[Item, asyncio.Future[Answer]]], answers: Sequence[Answer | Exception]) -> None:
    if len(answers) != len(batch):
        raise ValueError(f"{len(answers)} answers to a batch of {len(batch)}")
    for (_, future), answer in zip(batch, answers, strict=True):
        _resolve(future, answer)


def _resolve(future: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


class ByLane(Generic[Item, Answer]):
    """A batcher for each lane: a call does not wait behind the batch of a flood in another lane."""

    def __init__(
        self, run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]], max_size: int = 500
    ) -> None:
        self._lanes: dict[str, Batcher[Item, Answer]] = {}
        self._run = run
        self._max_size = max_size

    def submit(self, lane: str, item: Item) -> asyncio.Future[Answer]:
        """As Batcher's."""
        batcher = self._lanes.get(lane)
        if batcher is None:
            batcher = self._lanes[lane] = Batcher(self._run, self._max_size)
        return batcher.submit(item)
