"""A process that no longer turns ends itself (rule S6)."""

import asyncio
import threading
import time

from agents.progress import Progress
from agents.watchdog import Watchdog


async def test_S6_a_blocked_event_loop_ends_the_process() -> None:
    told: list[str] = []
    left = threading.Event()

    def leave(reason: str) -> None:
        told.append(reason)
        left.set()

    dog = Watchdog(lambda: -1.0, stuck_after=0.5, leave=leave)
    dog.start()
    await asyncio.sleep(0)
    while not left.is_set():
        time.sleep(0.05)
    dog.stop()
    assert "event loop has not turned" in told[0]


async def test_S6_a_delivery_past_its_deadline_ends_the_process() -> None:
    told: list[str] = []
    dog = Watchdog(lambda: 31.0, leave=told.append)
    dog.start()
    while not told:
        await asyncio.sleep(0.05)
    dog.stop()
    assert "no progress for 31 s" in told[0]


async def test_S6_work_within_its_deadline_is_no_trouble() -> None:
    dog = Watchdog(lambda: 29.0)
    assert dog.trouble is None


def test_S6_a_consumer_that_has_records_to_fetch_and_fetches_none_stands_still() -> None:
    progress = Progress()
    assert progress.look({"p0": (5, 9), "p1": (7, 7)}, 100.0) == 0
    assert progress.look({"p0": (5, 9), "p1": (7, 7)}, 131.0) == 31
    assert progress.look({"p0": (6, 9), "p1": (7, 7)}, 133.0) == 0


def test_S6_a_consumer_without_anything_to_fetch_never_stands_still() -> None:
    progress = Progress()
    progress.look({"p0": (9, 9)}, 0.0)
    assert progress.look({"p0": (9, 9)}, 1000.0) == 0


def test_S6_a_broker_that_is_away_is_an_excuse() -> None:
    progress = Progress()
    progress.look({"p0": (5, 9)}, 0.0)
    progress.look({"p0": (5, 9)}, 40.0)
    progress.excuse()
    assert progress.stalled == 0
    assert progress.look({"p0": (5, 9)}, 41.0) == 0
