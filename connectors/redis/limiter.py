"""Fleet-wide limits: GCRA and calls in flight, in one Lua call a batch, on Redis's own clock."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import orjson

from connectors.redis.arguments import Arguments, Departures, gate_key, tenant_key
from connectors.redis.client import RedisClient
from domain.admission import gcra
from domain.admission.model import PASSES, Admission, Charge, Departure, Flight, Gate, Look
from domain.errors import Unavailable
from domain.ports import Flights

MICRO = 1_000_000
BOOT_KEY = "sp:limit:boot"
KNOWN_KEY = "sp:flights:known"
FLYING_KEY = "sp:flights:tenants"
# one call stays short for the others, and below what Lua can unpack
MAX_CHARGES = 1_000
MOST_IN_FLIGHT = 200_000
_HERE = Path(__file__).parent


class RedisLimiter:
    """Implements Limiter. Raises Unavailable within the client's time-out; nothing may be assumed then.

    Keys are hash-tagged by their tenant. BOOT_KEY holds when this Redis was first seen empty: a limit without state
    counts as used up at that moment, so that a wiped Redis grants no second burst. KNOWN_KEY says that `flights` were
    told: without it no place is given before the ledger was asked who has one (rule D2). FLYING_KEY names the sets of
    flights, for a look through all keys takes longer the more answers are cached.
    """

    def __init__(self, client: RedisClient, flights: Flights | None = None) -> None:
        self._client = client
        self._flights = flights
        self._admit, self._peek, self._leave, self._restore, self._stale, self._boot = (
            client.redis.register_script((_HERE / f"{name}.lua").read_text())
            for name in ("admit", "peek", "leave", "restore", "stale", "boot")
        )

    async def admit(self, batch: Sequence[Charge]) -> list[Admission]:
        admissions: list[Admission] = []
        for start in range(0, len(batch), MAX_CHARGES):
            admissions += await self._admit_some(batch[start : start + MAX_CHARGES])
        return admissions

    async def peek(self, charge: Charge) -> Look:
        keys = [BOOT_KEY, *(tenant_key("limit", limit.key) for limit in charge.limits)]
        keys += [gate_key(gate.key) for gate in charge.gates]
        tolerances = [gcra.tolerance(limit) * MICRO for limit in charge.limits]
        answer = await self._client.run("look at limits", lambda: self._peek(keys, tolerances))
        found = cast(list[int], answer)
        tats = {limit.key: ahead / MICRO for limit, ahead in zip(charge.limits, found, strict=False)}
        counts = tuple(found[len(charge.limits) :])
        left = tuple(gcra.left(0.0, limit, tats[limit.key]) for limit in charge.limits)
        full = _first_full(charge.gates, counts)
        return Look(Admission(gcra.admission(0.0, charge.limits, tats, charge.tokens), full), left, counts)

    async def leave(self, batch: Sequence[Departure]) -> None:
        for start in range(0, len(batch), MAX_CHARGES):
            keys, argument = Departures(batch[start : start + MAX_CHARGES]).encoded()
            await self._client.run("give back places", lambda: self._leave(keys, [argument]))  # noqa: B023

    async def free(self, gates: Sequence[Gate]) -> list[int | None]:
        # asked also without gates: who hands on must know that Redis answers
        keys = [BOOT_KEY, *(gate_key(gate.key) for gate in gates)]
        booted, *counts = await self._client.run("count places", lambda: self._client.redis.mget(keys))
        if booted is None:
            # now, and not at the first request: limits have filled up by then
            await self._client.run("note when it was empty", lambda: self._boot([BOOT_KEY]))
        return [
            None if gate.places is None else max(0, gate.places - int(count or 0))
            for gate, count in zip(gates, counts, strict=True)
        ]

    async def stale(self, older_s: float, limit: int) -> list[Flight]:
        found: list[Flight] = []
        flying = await self._client.run("list flights", lambda: self._client.redis.smembers(FLYING_KEY))
        for key in sorted(cast(set[bytes], flying)):
            arguments = [older_s * MICRO, limit - len(found)]
            members = await self._client.run("look at flights", lambda: self._stale([key, FLYING_KEY], arguments))  # noqa: B023
            tenant = key.decode().partition("{")[2].rpartition("}")[0]
            found += [Flight.of_member(tenant, member.decode()) for member in cast(list[bytes], members)]
            if len(found) >= limit:
                break
        return found

    async def _admit_some(self, batch: Sequence[Charge]) -> list[Admission]:
        arguments = Arguments(batch)
        keys, argument = arguments.encoded(BOOT_KEY, KNOWN_KEY)
        keys.append(FLYING_KEY)
        answer = await self._client.run("admit a batch", lambda: self._admit(keys, [argument]))
        if answer == b"unknown":
            await self._tell_flights([charge.flight for charge in batch if charge.flight])
            answer = await self._client.run("admit a batch", lambda: self._admit(keys, [argument]))
        if answer == b"unknown":
            raise Unavailable("admit a batch: Redis was wiped again and again; look at its log and memory")
        gates = arguments.gates
        return [
            PASSES if wait == 0 else Admission(wait / MICRO) if wait > 0 else Admission(0.0, gates[-wait - 1])
            for wait in cast(list[int], answer)
        ]

    async def _tell_flights(self, asking: Sequence[Flight]) -> None:
        """After a start or a wipe: what the ledger knows to be in flight but for those who ask. Several may do it at
        once."""
        by_tenant: dict[str, list[Flight]] = {}
        out = {(flight.tenant, flight.member) for flight in asking}
        for flight in await self._flights.in_flight(MOST_IN_FLIGHT) if self._flights else ():
            if (flight.tenant, flight.member) not in out:
                by_tenant.setdefault(flight.tenant, []).append(flight)
        for tenant, flights in by_tenant.items():
            for start in range(0, len(flights), MAX_CHARGES):
                await self._tell(tenant, flights[start : start + MAX_CHARGES])
        await self._client.run("remember flights", lambda: self._client.redis.set(KNOWN_KEY, 1))

    async def _tell(self, tenant: str, flights: Sequence[Flight]) -> None:
        keys = [KNOWN_KEY, tenant_key("flights", tenant)]
        places: dict[str, int] = {}
        rows = []
        for flight in flights:
            for gate in flight.gates:
                if gate not in places:
                    keys.append(gate_key(gate))
                    places[gate] = len(keys)
            rows.append([flight.member, *(places[gate] for gate in flight.gates)])
        await self._client.run("tell flights", lambda: self._restore([*keys, FLYING_KEY], [orjson.dumps(rows)]))


def _first_full(gates: Sequence[Gate], counts: Sequence[int]) -> Gate | None:
    for gate, count in zip(gates, counts, strict=True):
        if gate.places is not None and count >= gate.places:
            return gate
    return None
