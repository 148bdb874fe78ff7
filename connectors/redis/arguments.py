"""What the limiter's Lua scripts are given: keys, and batches in JSON. Their heads say what it means."""

from collections.abc import Sequence
from typing import Any

import orjson

from domain.admission.gcra import interval
from domain.admission.model import Charge, Departure, Flight, Gate, Limit

MICRO = 1_000_000


def tenant_key(kind: str, key: str) -> str:
    """The Redis key of something that starts with its tenant, hash-tagged by it."""
    tenant, slash, rest = key.partition("/")
    return f"sp:{kind}:{{{tenant}}}{slash}{rest}"


def gate_key(key: str) -> str:
    return tenant_key("gate", key)


class Arguments:
    """A batch of charges for admit.lua. `gates` are those it names, in their order there."""

    def __init__(self, batch: Sequence[Charge]) -> None:
        self.gates: list[Gate] = []
        self._limits: dict[Limit, int] = {}
        self._gates: dict[Gate, int] = {}
        self._tenants: dict[str, int] = {}
        self._reserving: dict[str, int] = {}
        self._profiles: dict[tuple[int, int, bool, int], int] = {}
        self._wanted: list[Charge] = []
        self._events = [self._place(charge) for charge in batch]
        self._members = [charge.flight.member if charge.flight else "" for charge in batch]

    def encoded(self, *first: str) -> tuple[list[str], bytes]:
        """The keys, `first` before all others, and the argument."""
        keys = [*first, *(tenant_key("limit", limit.key) for limit in self._limits)]
        keys += [gate_key(gate.key) for gate in self._gates]
        flights, reservations = len(keys), len(keys) + len(self._tenants)
        keys += [tenant_key("flights", tenant) for tenant in self._tenants]
        keys += [tenant_key("reserved", tenant) for tenant in self._reserving]
        profiles = []
        for charge in self._wanted:
            tenant = charge.flight.tenant if charge.flight else ""
            place = flights + self._tenants[tenant] if charge.gates else 0
            reserved = reservations + self._reserving[tenant] if tenant in self._reserving else 0
            limits, gates = [self._limits[one] for one in charge.limits], [self._gates[one] for one in charge.gates]
            profiles.append([int(charge.reject), charge.tokens, place, reserved, limits, gates])
        said = {
            "limits": [[interval(one) * MICRO, one.burst, int(one.unit == "tokens")] for one in self._limits],
            "gates": [[-1 if one.places is None else one.places, int(one.rejects)] for one in self._gates],
            "profiles": profiles,
            "events": self._events,
            "members": self._members,
        }
        return keys, orjson.dumps(said)

    def _place(self, charge: Charge) -> int:
        """Of the charge's profile, from 1. Rules are the same objects for all requests of a tenant, key and lane."""
        name = (id(charge.limits), id(charge.gates), charge.reject, charge.tokens)
        place = self._profiles.get(name)
        if place is None:
            self._learn(charge)
            place = self._profiles[name] = len(self._wanted)
        return place

    def _learn(self, charge: Charge) -> None:
        self._wanted.append(charge)
        for limit in charge.limits:
            self._limits.setdefault(limit, len(self._limits) + 1)
        for gate in charge.gates:
            if gate not in self._gates:
                self.gates.append(gate)
                self._gates[gate] = len(self.gates)
        if charge.flight is not None:
            tenant = charge.flight.tenant
            self._tenants.setdefault(tenant, len(self._tenants) + 1)
            if any(limit.unit == "tokens" for limit in charge.limits):
                self._reserving.setdefault(tenant, len(self._reserving) + 1)


class Departures:
    """A batch of departures for leave.lua, together where they give back the same places."""

    def __init__(self, batch: Sequence[Departure]) -> None:
        self._keys: dict[str, int] = {}
        self._groups: dict[tuple[str, str, str | None], list[Any]] = {}
        for departure in batch:
            flight = departure.flight
            name = flight.tenant, flight.lane, flight.api_key_id
            group = self._groups.get(name) or self._begin(name, flight)
            group[-2].append(flight.member)
            group[-1].append(-1 if departure.used is None else departure.used)

    def encoded(self) -> tuple[list[str], bytes]:
        return list(self._keys), orjson.dumps(list(self._groups.values()))

    def _begin(self, name: tuple[str, str, str | None], flight: Flight) -> list[Any]:
        flights, reserved = (self._place(tenant_key(kind, flight.tenant)) for kind in ("flights", "reserved"))
        gates = [self._place(gate_key(gate)) for gate in flight.gates]
        group = self._groups[name] = [flights, reserved, gates, [], []]
        return group

    def _place(self, key: str) -> int:
        return self._keys.setdefault(key, len(self._keys) + 1)
