"""Take under a lease, call, check, settle, produce."""

import asyncio
import os
from dataclasses import dataclass
from typing import Any

import aiohttp
import jsonschema_rs
import orjson

from benchmarks.prototype.app import Line
from benchmarks.prototype.outside import CALLS, EVENTS, RESULTS, USAGE, NaturalBatches, Outside, Produced

READS = CALLS
TAKE = """
WITH free AS (
    SELECT tenant, id FROM requests
    WHERE id = ANY($1::text[]) AND (state = 'accepted' OR (state = 'dispatched' AND lease < now()))
    ORDER BY tenant, id FOR NO KEY UPDATE
)
UPDATE requests AS r SET state = 'dispatched', owner = $2, epoch = epoch + 1, lease = now() + interval '8 s'
FROM free WHERE r.tenant = free.tenant AND r.id = free.id
RETURNING r.tenant, r.id, r.epoch
"""
DONE = "SELECT tenant, id, result FROM requests WHERE id = ANY($1::text[]) AND state = 'completed'"
ATTEMPTS = """
INSERT INTO attempts (tenant, id, n, model, cost, input_tokens, output_tokens)
SELECT tenant, id, n, 'model', 0.000001, input, output
FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[]) AS new (tenant, id, n, input, output)
ON CONFLICT DO NOTHING
"""
SETTLE = """
WITH mine AS (
    SELECT r.tenant, r.id, new.result
    FROM unnest($1::text[], $2::text[], $3::int[], $4::text[]) AS new (tenant, id, epoch, result)
    JOIN requests r ON r.tenant = new.tenant AND r.id = new.id AND r.epoch = new.epoch AND r.state = 'dispatched'
    ORDER BY r.tenant, r.id FOR NO KEY UPDATE OF r
)
UPDATE requests AS r SET state = 'completed', result = mine.result
FROM mine WHERE r.tenant = mine.tenant AND r.id = mine.id
RETURNING r.tenant, r.id
"""
HEADERS = {"authorization": "Bearer x", "content-type": "application/json"}
Key = tuple[str, str]


@dataclass(slots=True, eq=False)
class Work:
    """A delivered call on its way."""

    event: Any
    request: dict[str, Any]
    taken: "asyncio.Future[int | bytes | None]"
    epoch: int = 0
    result: bytes = b""
    usage: tuple[int, int] = (0, 0)

    @property
    def key(self) -> Key:
        return self.request["tenant"], self.request["id"]


class Infer:
    def __init__(self, line: Line, outside: Outside, pool: Any) -> None:
        self._line = line
        self._pool = pool
        self._url = outside.provider + "/chat/completions"
        self._produced = Produced(outside.kafka)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._owner = f"worker-{os.getpid()}"
        self._validators: dict[bytes, Any] = {}
        self._takes = NaturalBatches(self._take)
        self._settles = NaturalBatches(self._settle)

    async def one(self, event: Any) -> None:
        request = orjson.loads(event.value)
        while True:
            work = Work(event, request, asyncio.get_running_loop().create_future())
            self._takes.add(work)
            taken = await work.taken
            if taken is not None:
                break
            await asyncio.sleep(1)  # another worker's lease
        if isinstance(taken, bytes):
            await self._produced.send([(RESULTS, request["id"].encode(), taken)])
            await self._line.finish(event)
            return
        work.epoch = taken
        await self._call(work)
        self._settles.add(work)

    async def _call(self, work: Work) -> None:
        body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": work.request["prompt"]}]})
        async with self._session.post(self._url, data=body, headers=HEADERS) as response:
            reply = orjson.loads(await response.read())
        answer = orjson.loads(reply["choices"][0]["message"]["content"])
        valid = self._validator(work.request["output_schema"]).is_valid(answer)
        work.usage = reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]
        result = {"status": "completed" if valid else "failed", "output": answer, "usage": reply["usage"]}
        work.result = orjson.dumps({"id": work.request["id"], "tenant": work.request["tenant"], **result})

    def _validator(self, schema: dict[str, Any]) -> Any:
        key = orjson.dumps(schema)
        if key not in self._validators:
            self._validators[key] = jsonschema_rs.validator_for(schema)
        return self._validators[key]

    async def _take(self, batch: list[Work]) -> None:
        rows = await self._pool.fetch(TAKE, sorted({work.key[1] for work in batch}), self._owner)
        mine: dict[Key, int] = {(row["tenant"], row["id"]): row["epoch"] for row in rows}
        others = [work.key[1] for work in batch if work.key not in mine]
        found = await self._pool.fetch(DONE, others) if others else []
        done = {(row["tenant"], row["id"]): row["result"].encode() for row in found}
        for work in batch:
            epoch = mine.pop(work.key, None)
            work.taken.set_result(done.get(work.key) if epoch is None else epoch)

    async def _settle(self, batch: list[Work]) -> None:
        tenants, ids = [work.key[0] for work in batch], [work.key[1] for work in batch]
        epochs = [work.epoch for work in batch]
        tokens = [work.usage[0] for work in batch], [work.usage[1] for work in batch]
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(ATTEMPTS, tenants, ids, epochs, *tokens)
            rows = await connection.fetch(SETTLE, tenants, ids, epochs, [work.result.decode() for work in batch])
        won = {(row["tenant"], row["id"]) for row in rows}
        winners = [work for work in batch if work.key in won]
        await self._produced.send(
            [(topic, work.key[1].encode(), work.result) for work in winners for topic in (RESULTS, USAGE, EVENTS)]
        )
        for work in batch:
            await self._line.finish(work.event)


async def run(line: Line, outside: Outside) -> None:
    infer = Infer(line, outside, await outside.pool())
    tasks: set[asyncio.Task[None]] = set()
    async for event in line.events():
        task = asyncio.ensure_future(infer.one(event))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
