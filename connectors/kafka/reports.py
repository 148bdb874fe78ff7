"""Who serves the delivery reports of a producer: a thread while records come singly, the event loop when they come in
numbers.

Each report takes the interpreter's lock. A thread that takes it thousands of times a second holds up the loop and waits
for it in turn: infer took 5 % more CPU an event. The loop looks once a millisecond instead, which is too seldom for
whoever waits for one record.
"""

import asyncio
import threading
from collections.abc import Callable

MANY = 50
"""Records of one send from which on the loop looks."""
LOOK_S = 0.001
LOOKS = 50
"""So often after the last such send; then the thread goes on."""
_POLL_S = 0.2


class Reports:
    """poll: librdkafka's, which may be called from several threads. It serves what came within so many seconds."""

    def __init__(self, poll: Callable[[float], object]) -> None:
        self._poll = poll
        self._looks = 0
        self._single = threading.Event()
        self._single.set()
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="kafka-producer", daemon=True)
        self._thread.start()

    def expect(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        """So many records were sent at once, from this loop."""
        if count < MANY:
            return
        looking, self._looks = self._looks, LOOKS
        if not looking:
            self._single.clear()
            loop.call_later(LOOK_S, self._look, loop)

    def stop(self) -> None:
        """Blocks until the thread has ended."""
        self._stopping = True
        self._single.set()
        self._thread.join()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._poll(0)
        self._looks -= 1
        if self._looks:
            loop.call_later(LOOK_S, self._look, loop)
        else:
            self._single.set()

    def _serve(self) -> None:
        while not self._stopping:
            # also while the loop looks, which may be closed or stand still
            single = self._single.wait(_POLL_S)
            self._poll(_POLL_S if single else 0)
