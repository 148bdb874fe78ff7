"""Fleet-wide rate limits: GCRA in one Lua call a batch, on Redis's own clock."""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import cast

import orjson

from connectors.redis.client import RedisClient
from domain.admission import gcra
from domain.admission.model import Charge

MICRO = 1_000_000
BOOT_KEY = "sp:limit:boot"
# one call stays short for the others, and below what Lua can unpack
MAX_CHARGES = 1_000
_HERE = Path(__file__).parent


class RedisLimiter:
    """Implements Limiter. Raises Unavailable within the client's time-out; nothing may be assumed then.

    A limit lives in one key, hash-tagged by its tenant. BOOT_KEY holds when this Redis was first seen empty: a limit
    without state counts as used up at that moment, so that a wiped Redis grants no second burst (rule D2).
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._admit = client.redis.register_script((_HERE / "admit.lua").read_text())
        self._peek = client.redis.register_script((_HERE / "peek.lua").read_text())

    async def admit(self, batch: Sequence[Charge]) -> list[float]:
        waits: list[float] = []
        for start in range(0, len(batch), MAX_CHARGES):
            waits += await self._admit_some(batch[start : start + MAX_CHARGES])
        return waits

    async def peek(self, charge: Charge) -> float:
        keys = [BOOT_KEY, *(_redis_key(limit.key) for limit in charge.limits)]
        tolerances = [gcra.tolerance(limit) * MICRO for limit in charge.limits]
        answer = await self._client.run("look at a rate limit", lambda: self._peek(keys, tolerances))
        return cast(int, answer) / MICRO

    async def _admit_some(self, batch: Sequence[Charge]) -> list[float]:
        keys, argument = _arguments(batch)
        answer = await self._client.run("admit a batch", lambda: self._admit(keys, [argument]))
        return [wait / MICRO for wait in cast(list[int], answer)]


def _redis_key(key: str) -> str:
    tenant, slash, rest = key.partition("/")
    return f"sp:limit:{{{tenant}}}{slash}{rest}"


def _arguments(batch: Sequence[Charge]) -> tuple[list[str], bytes]:
    """The keys of all limits, and what admit.lua says of its first argument."""
    places: dict[str, int] = {}
    limits: list[tuple[float, float]] = []
    groups: list[list[int]] = []
    for (wanted, reject), run in groupby(batch, attrgetter("limits", "reject")):
        group = [sum(1 for _ in run), int(reject)]
        for limit in wanted:
            if limit.key not in places:
                limits.append((gcra.interval(limit) * MICRO, gcra.tolerance(limit) * MICRO))
                places[limit.key] = len(limits)
            group.append(places[limit.key])
        groups.append(group)
    keys = [BOOT_KEY, *map(_redis_key, places)]
    return keys, orjson.dumps({"limits": limits, "groups": groups})
