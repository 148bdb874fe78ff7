"""The pace while Redis is away: each worker keeps to a tenth of every limit that it knows, by itself.

Ten workers stay below a provider's limit so, more learn it from the refusals. Deployments that name no limit are called
as before: there is nothing to overrun.
"""

from collections.abc import Sequence
from dataclasses import replace

from connectors.memory.pacer import MemoryPacer
from domain.errors import Unavailable
from domain.pacing.bucket import PROVEN
from domain.pacing.model import Ask, Grant, Heard, Mode
from domain.pacing.told import Gauge, Told
from domain.ports import Pacer

SHARE = 0.1


class CarefulPacer:
    """Implements Pacer over `far`, and over `near` while that does not answer; raises nothing."""

    def __init__(self, far: Pacer, near: MemoryPacer) -> None:
        self._far = far
        self._near = near
        self._known: dict[str, Grant] = {}
        self._alone: set[str] = set()

    async def pace(self, batch: Sequence[Ask]) -> list[Grant]:
        try:
            grants = await self._far.pace(batch)
        except Unavailable:
            return await self._near.pace([self._carefully(ask) for ask in batch])
        for ask, grant in zip(batch, grants, strict=True):
            self._known[ask.deployment] = grant
        if self._alone:
            self._alone.clear()
            self._near.wipe()
        return grants

    def _carefully(self, ask: Ask) -> Ask:
        heard = tuple(_shared(one) for one in ask.heard)
        known = self._known.get(ask.deployment)
        if ask.deployment not in self._alone and known is not None:
            heard = (*_what_is_known(known), *heard)
        self._alone.add(ask.deployment)
        return replace(ask, heard=heard)


def _what_is_known(grant: Grant) -> tuple[Heard, ...]:
    if grant.rate > 0:
        return (_shared(Heard(told=Told(Gauge(grant.rate, 0.0, grant.rate)))),)
    return (Heard(calls_a_second=PROVEN),) if grant.mode is Mode.OPEN else ()


def _shared(heard: Heard) -> Heard:
    """Our share of what was told."""
    if heard.told is None:
        return heard
    return replace(heard, told=Told(_part(heard.told.requests), _part(heard.told.tokens)))


def _part(gauge: Gauge | None) -> Gauge | None:
    if gauge is None:
        return None
    limit = max(1.0, gauge.limit * SHARE)
    rate = (gauge.limit / 60.0 if gauge.rate is None else gauge.rate) * SHARE
    return Gauge(limit, min(limit, gauge.remaining * SHARE), rate)
