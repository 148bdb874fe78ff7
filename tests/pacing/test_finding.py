"""A provider that told nothing before, or nothing at all: its limit costs few calls. Virtual time, three workers."""

import heapq
import itertools
from collections.abc import Callable

import pytest

from connectors.memory.pacer import MemoryPacer
from domain.pacing.bucket import PROVEN, RISE_BURST
from domain.pacing.model import Ask, Heard, Mode
from domain.pacing.told import Gauge, Told

SENT_S, REFUSED_S, ANSWERED_S = 0.02, 0.005, 0.1
"""From a token until the provider sees the call, and from then until it has refused or answered it."""


class Provider:
    """A bucket of `rate` calls that holds a second's, and `tells` the worker what the simulated provider does."""

    def __init__(self, rate: float, tells: str) -> None:
        self.rate, self.tells = rate, tells
        self.level, self.at, self.ok, self.refused = rate, 0.0, 0, 0

    def call(self, now: float) -> Heard:
        self.level = min(self.rate, self.level + (now - self.at) * self.rate)
        self.at = now
        limited = self.level < 1
        if limited:
            self.refused += 1
        else:
            self.level -= 1
            self.ok += 1
        told = Told(Gauge(self.rate, float(int(self.level)), self.rate)) if self.tells == "limits" else None
        wait = (1 - self.level) / self.rate if limited and self.tells != "nothing" else None
        return Heard(limited, told, wait, REFUSED_S if limited else ANSWERED_S)


class World:
    """Three workers with so many calls each, one pacer, one provider; a discrete run in virtual time."""

    def __init__(self, provider: Provider) -> None:
        self.now = 0.0
        self.provider = provider
        self.pacer = MemoryPacer(lambda: self.now)
        self.waiting = {f"w{n}": 0 for n in range(3)}
        self.heard: dict[str, list[Heard]] = {worker: [] for worker in self.waiting}
        self.refused_at = -1.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self.last = 0.0

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._number), what))

    async def run(self, calls: int) -> float:
        """Seconds until all are answered."""
        began, done = self.now, self.provider.ok + calls
        for n in range(calls):
            self.waiting[f"w{n % 3}"] += 1
        while self.provider.ok < done and self.now < began + 60:
            for worker in self.waiting:
                await self.ask(worker)
            self._pass(0.01)
        return self.last - began

    async def ask(self, worker: str) -> None:
        heard, self.heard[worker] = tuple(self.heard[worker]), []
        if not heard and not self.waiting[worker]:
            return
        (grant,) = await self.pacer.pace([Ask("a/b", worker, ((), (1,) * min(500, self.waiting[worker]), ()), heard)])
        self.waiting[worker] -= sum(grant.calls)
        for _ in range(sum(grant.calls)):
            self.later(SENT_S, lambda given=self.now: self.send(worker, given))

    def send(self, worker: str, given: float) -> None:
        if given < self.refused_at:
            self.waiting[worker] += 1
            return
        heard = self.provider.call(self.now)
        self.later(heard.latency, lambda: self.hear(worker, heard))

    def hear(self, worker: str, heard: Heard) -> None:
        self.heard[worker].append(heard)
        self.last = self.now
        if heard.limited:
            self.waiting[worker] += 1
            self.refused_at = self.now

    def _pass(self, seconds: float) -> None:
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()
        self.now = until


@pytest.mark.parametrize("tells", ["limits", "retry_after", "nothing"])
@pytest.mark.parametrize("history", ["none", "few"])
async def test_L6_few_calls_are_refused_until_a_limit_is_known(tells: str, history: str) -> None:
    provider = Provider(10_000.0, "nothing")
    world = World(provider)
    if history == "few":
        for _ in range(20):
            await world.run(1)
    world.provider = provider = Provider(20.0, tells)
    provider.at = world.now
    seconds = await world.run(200)
    assert provider.ok == 200
    assert provider.refused <= 5
    assert seconds <= 11.5


async def test_who_refuses_nothing_is_open_half_a_second_after_the_first_of_many_calls() -> None:
    world = World(Provider(100_000.0, "nothing"))
    assert await world.run(4_000) <= 1.0


async def test_who_was_called_seldom_since_has_to_prove_it_again_and_is_open_sooner() -> None:
    world = World(Provider(100_000.0, "nothing"))
    first = await world.run(400)
    world._pass(10.0)
    again = await world.run(400)
    assert 0.2 < again < first / 2
    world._pass(10.0)
    world.provider = provider = Provider(20.0, "limits")
    provider.at = world.now
    await world.run(100)
    assert provider.refused <= 8


async def test_who_is_called_often_stays_open() -> None:
    now = [0.0]
    pacer = MemoryPacer(lambda: now[0])
    await pacer.pace([Ask("a/b", "w1", heard=(Heard(calls_a_second=PROVEN),))])
    for _ in range(10):
        now[0] += 1.0
        (grant,) = await pacer.pace([Ask("a/b", "w1", went=100)])
    assert grant.mode is Mode.OPEN
    now[0] += 2.0
    (grant,) = await pacer.pace([Ask("a/b", "w1", ((), (1,) * 200, ()))])
    assert grant.calls == (0, RISE_BURST - 1, 0)
