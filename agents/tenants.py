"""Who may send, and how much: tenants and their keys as this worker last saw them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from domain.accounts.limits import Defaults, gates_of, rules_of
from domain.accounts.model import ApiKey, Tenant
from domain.admission.model import Gate, Rules
from domain.ports import Accounts
from topics.request import LANES

FRESH = 5.0
"""Seconds a tenant, or its absence, is believed without asking again."""


@dataclass(slots=True)
class _Known:
    tenant: Tenant | None
    keys: dict[str, ApiKey]
    at: float
    rules: dict[tuple[str, str | None], Rules] = field(default_factory=dict)


class Tenants:
    """A small cache over Accounts. `load` asks, the others answer from what was loaded."""

    def __init__(self, accounts: Accounts, defaults: Defaults, clock: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._defaults = defaults
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def load(self, names: set[str]) -> None:
        """Make sure that these are known as of at most `FRESH` seconds ago. Raises Unavailable."""
        now = self._clock()
        for name in names:
            known = self._known.get(name)
            if known is not None and now - known.at < FRESH:
                continue
            tenant = await self._accounts.tenant(name)
            keys = {key.id: key for key in await self._accounts.keys(name)} if tenant else {}
            self._known[name] = _Known(tenant, keys, now)
        if len(self._known) > 100_000:
            # a flood of invented names must not grow without bound
            self._known = {name: known for name, known in self._known.items() if known.tenant is not None}

    def exists(self, name: str) -> bool:
        known = self._known.get(name)
        return known is not None and known.tenant is not None and known.tenant.active

    def cache_ttl_s(self, name: str) -> int | None:
        """How long its answers are kept at most, where it says so."""
        tenant = self._known[name].tenant
        return None if tenant is None else tenant.cache_ttl_s

    def rules(self, name: str, lane: str, api_key_id: str | None) -> Rules:
        """What a request must pass: the same object for all of this tenant, lane and key."""
        known = self._known[name]
        found = known.rules.get((lane, api_key_id))
        if found is None:
            key = known.keys.get(api_key_id) if api_key_id else None
            found = rules_of(known.tenant or Tenant(name), key, lane, self._defaults)
            known.rules[lane, api_key_id] = found
        return found

    def gate(self, name: str, gate: str) -> Gate:
        """The gate of this key as it is now; without an end of places where nobody limits it any more."""
        known = self._known[name]
        tenant = known.tenant or Tenant(name)
        keys = [None, *known.keys.values()]
        found = (
            one for lane in LANES for key in keys for one in gates_of(tenant, key, lane, self._defaults.lane_places)
        )
        return next((one for one in found if one.key == gate), Gate(gate, None))
