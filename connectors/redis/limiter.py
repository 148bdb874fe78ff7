"""Fleet-wide rate limits: GCRA in one Lua call a batch, on Redis's own clock."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import orjson

from connectors.redis.client import RedisClient
from domain.admission import gcra
from domain.admission.model import Charge, Limit

MICRO = 1_000_000
BOOT_KEY = "sp:limit:boot"
# one call stays short for the others, and below what Lua can unpack
MAX_CHARGES = 1_000
_HERE = Path(__file__).parent

Group = tuple[tuple[Limit, ...], bool]


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
        groups: dict[Group, list[int]] = {}
        for place, charge in enumerate(batch):
            groups.setdefault((charge.limits, charge.reject), []).append(place)
        keys, argument = _arguments(groups)
        answer = await self._client.run("admit a batch", lambda: self._admit(keys, [argument]))
        return _waits(cast(list[int], answer), groups, len(batch))


def _redis_key(key: str) -> str:
    tenant, slash, rest = key.partition("/")
    return f"sp:limit:{{{tenant}}}{slash}{rest}"


def _arguments(groups: dict[Group, list[int]]) -> tuple[list[str], bytes]:
    places: dict[str, int] = {}
    limits: list[tuple[float, float]] = []
    rows: list[list[int]] = []
    for (wanted, reject), members in groups.items():
        row = [len(members), int(reject)]
        for limit in wanted:
            if limit.key not in places:
                limits.append((gcra.interval(limit) * MICRO, gcra.tolerance(limit) * MICRO))
                places[limit.key] = len(limits)
            row.append(places[limit.key])
        rows.append(row)
    keys = [BOOT_KEY, *map(_redis_key, places)]
    return keys, orjson.dumps({"limits": limits, "groups": rows})


def _waits(answer: list[int], groups: dict[Group, list[int]], size: int) -> list[float]:
    """The answers of admit.lua, put back into the batch's order."""
    waits = [0.0] * size
    at = 0
    for (_, reject), members in groups.items():
        passed = answer[at]
        late = members[passed:]
        at += 1
        for place in late:
            waits[place] = answer[at] / MICRO
            at += not reject
        at += reject and bool(late)
    return waits
