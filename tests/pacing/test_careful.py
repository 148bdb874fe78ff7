"""Redis is away: a known limit is kept by each worker alone, at a tenth; what names no limit goes on."""

from collections.abc import Sequence

from connectors.careful import CarefulPacer
from connectors.memory.pacer import MemoryPacer
from domain.errors import Unavailable
from domain.pacing.bucket import PROVEN
from domain.pacing.model import Ask, Grant, Heard, Mode
from domain.pacing.told import Gauge, Told

OPEN = Heard(calls_a_second=PROVEN)
TWENTY = Heard(told=Told(Gauge(20, 20, 20.0)))


class Away(MemoryPacer):
    """A fleet's pacer that may not answer."""

    away = False

    async def pace(self, batch: Sequence[Ask]) -> list[Grant]:
        if self.away:
            raise Unavailable("away")
        return await super().pace(batch)


class Fleet:
    def __init__(self) -> None:
        self.now = 100.0
        self.far = Away(lambda: self.now)
        self.pacer = CarefulPacer(self.far, MemoryPacer(lambda: self.now))

    async def ask(self, *heard: Heard, calls: int = 0) -> Grant:
        (grant,) = await self.pacer.pace([Ask("a/b", "w1", ((), (1,) * calls, ()), heard)])
        return grant


async def test_D2_without_redis_a_worker_keeps_to_a_tenth_of_the_limit() -> None:
    fleet = Fleet()
    await fleet.ask(TWENTY)
    fleet.far.away = True
    gone = 0
    for _ in range(100):
        fleet.now += 0.1
        gone += (await fleet.ask(TWENTY, calls=5)).calls[1]
    assert 15 <= gone <= 21
    fleet.far.away = False
    assert (await fleet.ask(calls=30)).calls[1] == 18


async def test_without_redis_what_names_no_limit_goes_on() -> None:
    fleet = Fleet()
    await fleet.ask(OPEN)
    fleet.far.away = True
    assert (await fleet.ask(calls=500)).mode is Mode.OPEN


async def test_without_redis_an_unknown_deployment_starts_with_one_call() -> None:
    fleet = Fleet()
    fleet.far.away = True
    assert (await fleet.ask(calls=50)).calls == (0, 1, 0)
    assert (await fleet.ask(OPEN, calls=50)).calls == (0, 50, 0)


async def test_without_redis_a_refused_call_still_slows_the_worker_down() -> None:
    fleet = Fleet()
    await fleet.ask(Heard())
    fleet.far.away = True
    grant = await fleet.ask(Heard(limited=True, retry_after=30.0, calls_a_second=20.0), calls=5)
    assert (grant.mode, grant.calls) == (Mode.FELT, (0, 0, 0))
    assert grant.again == 30.0
