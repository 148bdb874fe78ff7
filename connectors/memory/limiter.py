"""The in-memory twin of the Redis limiter: one process, the same rules."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from math import inf

from domain.admission import gcra
from domain.admission.model import PASSES, Admission, Charge, Departure, Flight, Gate, Limit, Look
from domain.ports import Flights

MOST_IN_FLIGHT = 200_000


class MemoryLimiter:
    """GCRA and flights over dictionaries. `clock` gives seconds; `wipe` forgets all, as a lost Redis does (rule D2)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, flights: Flights | None = None) -> None:
        self._clock = clock
        self._ledger = flights
        self._booted = -inf
        self._known = False
        self._tats: dict[str, float] = {}
        self._flights: dict[tuple[str, str], float] = {}
        self._counts: Counter[str] = Counter()
        self._reserved: dict[tuple[str, str], list[tuple[Limit, int]]] = {}

    def wipe(self) -> None:
        for kept in (self._tats, self._flights, self._counts, self._reserved):
            kept.clear()
        self._booted, self._known = self._clock(), False

    async def admit(self, batch: Sequence[Charge]) -> list[Admission]:
        if not self._known and any(charge.gates for charge in batch):
            asking = {(one.flight.tenant, one.flight.member) for one in batch if one.flight is not None}
            for flight in await self._ledger.in_flight(MOST_IN_FLIGHT) if self._ledger else ():
                if (flight.tenant, flight.member) not in asking:
                    self._enter(flight)
            self._known = True
        now = self._clock()
        return [self._admit(now, charge) for charge in batch]

    async def peek(self, charge: Charge) -> Look:
        now, tats = self._clock(), self._tats_of(charge)
        wait = gcra.admission(now, charge.limits, tats, charge.tokens) - now
        left = tuple(gcra.left(now, limit, tats[limit.key]) for limit in charge.limits)
        counts = tuple(self._counts[gate.key] for gate in charge.gates)
        return Look(Admission(wait, self._full(charge.gates)), left, counts)

    async def leave(self, batch: Sequence[Departure]) -> None:
        now = self._clock()
        for departure in batch:
            flight = departure.flight
            name = (flight.tenant, flight.member)
            self._drop(flight)
            if departure.used is not None:
                for limit, cost in self._reserved.pop(name, ()):
                    self._tats[limit.key] = gcra.settle(now, limit, self._tats[limit.key], cost, departure.used)

    async def free(self, gates: Sequence[Gate]) -> list[int | None]:
        return [None if one.places is None else max(0, one.places - self._counts[one.key]) for one in gates]

    async def stale(self, older_s: float, limit: int) -> list[Flight]:
        now = self._clock()
        found = [name for name, since in self._flights.items() if since <= now - older_s][:limit]
        self._flights.update((name, now) for name in found)
        return [Flight.of_member(*name) for name in found]

    def _admit(self, now: float, charge: Charge) -> Admission:
        wait, changed = gcra.admit(now, charge, self._tats_of(charge))
        full = None
        if wait <= 0 and charge.flight is not None and charge.gates:
            full = self._meets(charge.flight, charge.gates)
            if full is not None and charge.reject and full.rejects:
                return Admission(0.0, full)
        self._tats.update(changed)
        if changed and charge.flight is not None:
            self._reserve(charge, charge.flight)
        return PASSES if wait <= 0 and full is None else Admission(max(0.0, wait), full)

    def _meets(self, flight: Flight, gates: Sequence[Gate]) -> Gate | None:
        """The gate that has no place; none when it is in flight now, or was before.

        Who was told by the ledger may be somebody who only asks now: it keeps its place unless there are more than
        may be.
        """
        over = 1 if self._in_flight(flight) else 0
        full = self._full(gates, over)
        if full is None:
            self._enter(flight)
        elif over:
            self._drop(flight)
        return full

    def _reserve(self, charge: Charge, flight: Flight) -> None:
        costs = [(limit, limit.cost(charge.tokens)) for limit in charge.limits if limit.unit == "tokens"]
        if costs:
            self._reserved[flight.tenant, flight.member] = costs

    def _in_flight(self, flight: Flight) -> bool:
        return (flight.tenant, flight.member) in self._flights

    def _enter(self, flight: Flight) -> None:
        if not self._in_flight(flight):
            self._flights[flight.tenant, flight.member] = self._clock()
            self._counts.update(flight.gates)

    def _drop(self, flight: Flight) -> None:
        if self._flights.pop((flight.tenant, flight.member), None) is not None:
            self._counts.subtract(flight.gates)

    def _full(self, gates: Sequence[Gate], over: int = 0) -> Gate | None:
        ends = ((one, one.places) for one in gates if one.places is not None)
        return next((one for one, places in ends if self._counts[one.key] >= places + over), None)

    def _tats_of(self, charge: Charge) -> dict[str, float]:
        return {limit.key: self._tats.get(limit.key, gcra.unknown_tat(limit, self._booted)) for limit in charge.limits}
