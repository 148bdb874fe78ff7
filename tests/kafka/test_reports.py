"""Who serves the delivery reports of a producer."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from connectors.kafka.reports import LOOKS, MANY, Reports


class Polled:
    """Stands for librdkafka's poll: notes who asked; waits only where it is told to."""

    def __init__(self) -> None:
        self.by: list[int] = []
        self.waits: list[float] = []
        self.came = threading.Event()

    def __call__(self, seconds: float) -> None:
        self.by.append(threading.get_ident())
        self.waits.append(seconds)
        self.came.wait(min(seconds, 0.01))


@pytest.fixture
def polled() -> Polled:
    return Polled()


@pytest.fixture
def reports(polled: Polled) -> Iterator[Reports]:
    found = Reports(polled)
    yield found
    found.stop()


async def until(polled: Polled, count: int, who: int) -> None:
    async with asyncio.timeout(10):
        while polled.by.count(who) < count:
            await asyncio.sleep(0.005)


async def test_a_thread_waits_for_the_reports_of_few_records(polled: Polled, reports: Reports) -> None:
    reports.expect(MANY - 1, asyncio.get_running_loop())
    await asyncio.sleep(0.1)
    assert polled.by, "the thread"
    assert threading.get_ident() not in polled.by


async def test_the_loop_looks_for_those_of_many_and_then_the_thread_goes_on(polled: Polled, reports: Reports) -> None:
    me = threading.get_ident()
    reports.expect(MANY, asyncio.get_running_loop())
    await until(polled, LOOKS, me)
    assert {wait for wait, by in zip(polled.waits, polled.by, strict=True) if by == me} == {0}
    (thread,) = set(polled.by) - {me}
    before = polled.by.count(thread)
    await until(polled, before + 3, thread)
    assert polled.by.count(me) == LOOKS


async def test_each_further_send_of_many_prolongs_the_looking(polled: Polled, reports: Reports) -> None:
    me, loop = threading.get_ident(), asyncio.get_running_loop()
    reports.expect(MANY, loop)
    await until(polled, LOOKS // 2, me)
    already = polled.by.count(me)
    reports.expect(MANY, loop)
    await until(polled, already + LOOKS, me)


def test_reports_are_served_after_the_loop_that_looked_was_closed(polled: Polled, reports: Reports) -> None:
    async def send() -> None:
        reports.expect(MANY, asyncio.get_running_loop())

    asyncio.run(send())
    before = len(polled.by)
    for _ in range(200):
        if len(polled.by) > before + 2:
            break
        threading.Event().wait(0.01)
    assert len(polled.by) > before + 2
