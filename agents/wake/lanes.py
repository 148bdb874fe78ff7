"""Who may go on: releases those who wait for a place, in turn, and lets nobody past a full gate."""

from collections.abc import Callable, Sequence
from datetime import datetime

import orjson

from agents.tenants import Tenants
from domain.admission.fairness import shares
from domain.admission.model import Charge, Departure, Flight, Gate
from domain.ledger.model import Park, Release, Woken
from domain.ports import Flights, Ledger, Limiter
from topics.request import LANES

GATES = 2_000
STALE_S = 60.0
STALE_AT_ONCE = 2_000


class Lanes:
    """The gates as wake works with them. Raises Unavailable when Redis or PostgreSQL does not answer."""

    def __init__(
        self, ledger: Ledger, limiter: Limiter, flights: Flights, tenants: Tenants, clock: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._limiter = limiter
        self._flights = flights
        self._tenants = tenants
        self._clock = clock
        self._after = ("", "")
        self.waited_for = False

    async def release(self, most: int) -> list[Woken]:
        """Those for whom there is a place, a better lane first, in it one of each tenant in turn."""
        found = await self._ledger.gates(GATES, self._after)
        # many gates are looked at one part after the other
        self._after = found[-1] if len(found) == GATES else ("", "")
        self.waited_for = bool(found)
        await self._tenants.load({tenant for tenant, _ in found})
        gates = [self._tenants.gate(tenant, gate) for tenant, gate in found]
        free = await self._limiter.free(gates)
        wanted: list[Release] = []
        for lane in (*LANES, None):
            mine = [n for n, (_, gate) in enumerate(found) if _lane_of(gate) == lane]
            room = most - sum(one.places for one in wanted)
            places = shares([most if (places := free[n]) is None else places for n in mine], room)
            wanted += [Release(*found[n], count) for n, count in zip(mine, places, strict=True) if count]
        return await self._ledger.let_in(wanted) if wanted else []

    async def pass_on(self, woken: Sequence[Woken]) -> list[Woken]:
        """Those who are in flight from now on; the others wait for their gate."""
        if not woken:
            return []
        await self._tenants.load({row.tenant for row in woken})
        answers = await self._limiter.admit([self._charge(row) for row in woken])
        now = self._clock()
        parks = [_park(row, one.gate, now) for row, one in zip(woken, answers, strict=True) if one.gate is not None]
        if parks:
            await self._ledger.park(parks)
        return [row for row, answer in zip(woken, answers, strict=True) if answer.gate is None]

    async def look(self) -> int:
        """Give back the places of those who ended without a word, as with the worker that held them."""
        stale = await self._limiter.stale(STALE_S, STALE_AT_ONCE)
        ended = await self._flights.ended(stale) if stale else []
        if ended:
            await self._limiter.leave([Departure(flight) for flight in ended])
        return len(ended)

    def _charge(self, row: Woken) -> Charge:
        key = _key_of(row.call)
        rules = self._tenants.rules(row.tenant, row.lane, key)
        flight = Flight(row.tenant, row.lane, row.id, row.run, key)
        return Charge((), gates=rules.gates, flight=flight)


def _key_of(call: bytes) -> str | None:
    """The key it came with. What cannot be read is handed on: infer buries it."""
    try:
        key = orjson.loads(call).get("api_key_id")
    except (ValueError, AttributeError):
        return None
    return key if isinstance(key, str) else None


def _lane_of(gate: str) -> str | None:
    tenant_and_lane = gate.split("/", 2)
    return tenant_and_lane[2] if tenant_and_lane[1] == "lane" else None


def _park(row: Woken, gate: Gate, now: datetime) -> Park:
    reason = "concurrency" if gate.rejects else "lane"
    return Park(row.tenant, row.id, row.run, row.epoch, now, reason, row.lane, gate=gate.key)
