"""A worker that hangs is replaced, and its work goes on (rule S6): real processes, made to hang from outside.

Health is red within 30 s of the hang; a minute after it what was sent meanwhile is answered. There is one worker of a
kind, so that nobody else takes its work over.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.outages import freezing
from tests.outages.product import Proxied

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(200),
    pytest.mark.skipif(not freezing.supported(), reason="stopping a thread from outside needs Linux"),
]
RED_WITHIN = 30.0
DRAINED_WITHIN = 60.0


class Trickle:
    """Requests that keep coming, and whether all of them were answered."""

    def __init__(self, product: Proxied) -> None:
        self._product = product
        self._run = uuid.uuid4().hex[:8]
        self.ids: list[str] = []

    def send(self, count: int = 24) -> None:
        new = [f"{self._run}-{len(self.ids) + number}" for number in range(count)]
        self.ids += new
        self._product.publish(*({"id": id, "tenant": "demo", "prompt": f"Hello {id}"} for id in new))

    def answered(self, seconds: float) -> bool:
        return len(self._product.results(self.ids, seconds)) == len(self.ids)


@contextmanager
def main_thread_stopped(pid: int) -> Iterator[None]:
    with freezing.stopped(pid):
        yield


@contextmanager
def consumer_stopped(pid: int) -> Iterator[None]:
    with freezing.stopped(freezing.consumer_thread(pid)):
        yield


@pytest.mark.parametrize(
    ("hang", "name"),
    [
        (consumer_stopped, "worker-infer-1"),
        (main_thread_stopped, "worker-intake-1"),
        pytest.param(consumer_stopped, "worker-intake-1", marks=pytest.mark.full),
        pytest.param(main_thread_stopped, "api-1", marks=pytest.mark.full),
    ],
)
def test_S6_a_process_that_hangs_is_red_is_replaced_and_its_work_goes_on(
    product: Proxied, hang: Callable[[int], AbstractContextManager[None]], name: str
) -> None:
    trickle = Trickle(product)
    trickle.send()
    assert trickle.answered(30)
    pid = product.pid(name)
    began = time.monotonic()
    red = None
    with hang(pid):
        while product.pid(name) in (pid, 0) or product.health(name)[0] != 200:
            assert time.monotonic() - began < DRAINED_WITHIN, f"{name} was not replaced"
            if red is None and product.health(name)[0] != 200:
                red = time.monotonic() - began
            trickle.send(4)
            time.sleep(0.5)
    assert red is not None
    assert red <= RED_WITHIN
    assert trickle.answered(DRAINED_WITHIN - (time.monotonic() - began))


def test_S6_a_member_that_its_group_lost_is_replaced_though_nothing_waits(product: Proxied) -> None:
    """Its heartbeats stop with the consumer: the group gives its partitions to nobody, and no lag tells of it."""
    trickle = Trickle(product)
    trickle.send()
    assert trickle.answered(30)
    name = "worker-infer-1"
    pid = product.pid(name)
    began = time.monotonic()
    red: tuple[float, str] | None = None
    with consumer_stopped(pid):
        while product.pid(name) in (pid, 0) or product.health(name)[0] != 200:
            assert time.monotonic() - began < DRAINED_WITHIN, f"{name} was not replaced"
            status, said = product.health(name)
            if red is None and status == 503:
                red = time.monotonic() - began, said["checks"]["progress"]["detail"]
            time.sleep(0.5)
    assert red is not None
    assert red[0] <= RED_WITHIN
    assert "the group does not know it" in red[1]
    trickle.send()
    assert trickle.answered(DRAINED_WITHIN - (time.monotonic() - began))
