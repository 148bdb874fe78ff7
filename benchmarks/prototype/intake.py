"""Claim, charge, hand on: a batch at a time."""

import time
from collections import Counter
from typing import Any

import orjson
from redis.asyncio import Redis

from benchmarks.prototype.app import Line
from benchmarks.prototype.outside import CALLS, REQUESTS, NaturalBatches, Outside, Produced

READS = REQUESTS
CHARGE = """
local now, passed = tonumber(ARGV[1]), {}
for i, key in ipairs(KEYS) do
    local due = math.max(tonumber(redis.call('GET', key) or now), now)
    redis.call('SET', key, due + tonumber(ARGV[i + 1]) * 0.00001, 'PX', 60000)
    passed[i] = 1
end
return passed
"""
CLAIM = """
INSERT INTO requests (tenant, id, state, body)
SELECT tenant, id, 'accepted', body FROM unnest($1::text[], $2::text[], $3::text[]) AS new (tenant, id, body)
ON CONFLICT (tenant, id) DO UPDATE SET tenant = excluded.tenant
RETURNING tenant, id, state
"""


async def run(line: Line, outside: Outside) -> None:
    pool, produced = await outside.pool(), Produced(outside.kafka)
    charge = Redis.from_url(outside.redis).register_script(CHARGE)

    async def intake(events: list[Any]) -> None:
        requests = [orjson.loads(event.value) for event in events]
        tenants = Counter(request["tenant"] for request in requests)
        await charge(keys=[f"limit:{tenant}" for tenant in tenants], args=[time.time(), *tenants.values()])
        bodies = {(r["tenant"], r["id"]): event.value.decode() for r, event in zip(requests, events, strict=True)}
        keys = sorted(bodies)
        columns = [key[0] for key in keys], [key[1] for key in keys], [bodies[key] for key in keys]
        rows = await pool.fetch(CLAIM, *columns)
        accepted = [(row["tenant"], row["id"]) for row in rows if row["state"] == "accepted"]
        await produced.send([(CALLS, key[1].encode(), bodies[key].encode()) for key in accepted])
        for event in events:
            await line.finish(event)

    batches = NaturalBatches(intake)
    async for event in line.events():
        batches.add(event)
