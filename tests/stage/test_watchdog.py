"""A process that no longer turns ends itself (rule S6)."""

import asyncio
import threading
import time

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
    assert "31 s past its deadline" in told[0]


async def test_S6_work_within_its_deadline_is_no_trouble() -> None:
    dog = Watchdog(lambda: 29.0)
    assert dog.trouble is None
