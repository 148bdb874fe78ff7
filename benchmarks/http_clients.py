"""What one provider call costs in CPU: `python -m benchmarks.http_clients [--calls 4000] [--runs 3]`.

Each client calls `benchmarks.stub` (a process of its own, latency 0) over 64 keep-alive connections, sends a prompt
with a schema and reads the answer out of the body. The figures are this process's own CPU. By them aiohttp carries the
direct adapter and orjson its JSON; a session without timers, cookies and default headers saves a few per cent at most.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import httpx
import orjson
import uvloop

from connectors.llm import openai
from connectors.llm.direct import DirectModel
from domain.routing.model import Deployment, ModelCall, Price

IN_FLIGHT = 64
HEADERS = {"authorization": "Bearer x", "content-type": "application/json"}
MESSAGES = [{"role": "system", "content": "You judge texts."}, {"role": "user", "content": "A text to judge. " * 20}]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "score": {"type": "integer"}, "summary": {"type": "string"}},
    "required": ["name", "score", "summary"],
    "additionalProperties": False,
}
Call = Callable[[], Awaitable[object]]
Client = Callable[[str, ModelCall, int], Awaitable[float]]


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def cost(call: Call, calls: int) -> float:
    """Microseconds of CPU a call, after a warm-up that opens the connections."""

    async def lane(count: int) -> None:
        for _ in range(count):
            await call()

    async def all_lanes(count: int) -> None:
        await asyncio.gather(*(lane(count) for _ in range(IN_FLIGHT)))

    await all_lanes(2)
    started = cpu_seconds()
    await all_lanes(calls // IN_FLIGHT)
    return (cpu_seconds() - started) * 1e6 / (calls // IN_FLIGHT * IN_FLIGHT)


async def direct_adapter(_url: str, call: ModelCall, calls: int) -> float:
    model = DirectModel()
    try:
        return await cost(lambda: model.call(call), calls)
    finally:
        await model.close()


async def aiohttp_tuned(url: str, call: ModelCall, calls: int) -> float:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("user-agent", "accept"),
    )
    return await _aiohttp(session, url, call, calls, orjson.dumps, orjson.loads)


async def aiohttp_default(url: str, call: ModelCall, calls: int) -> float:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    return await _aiohttp(session, url, call, calls, orjson.dumps, orjson.loads)


async def aiohttp_plain_json(url: str, call: ModelCall, calls: int) -> float:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    return await _aiohttp(session, url, call, calls, lambda body: json.dumps(body).encode(), json.loads)


async def _aiohttp(
    session: aiohttp.ClientSession,
    url: str,
    call: ModelCall,
    calls: int,
    dumps: Callable[[Any], bytes],
    loads: Callable[[bytes], Any],
) -> float:
    async def once() -> str:
        async with session.post(url, data=dumps(openai.body(call)), headers=HEADERS) as response:
            return str(loads(await response.read())["choices"][0]["message"]["content"])

    async with session:
        return await cost(once, calls)


async def httpx_client(url: str, call: ModelCall, calls: int) -> float:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits) as client:

        async def once() -> str:
            response = await client.post(url, content=orjson.dumps(openai.body(call)), headers=HEADERS)
            return str(orjson.loads(response.content)["choices"][0]["message"]["content"])

        return await cost(once, calls)


CLIENTS: dict[str, Client] = {
    "the direct adapter": direct_adapter,
    "aiohttp, tuned session": aiohttp_tuned,
    "aiohttp, default session": aiohttp_default,
    "aiohttp, default session, json": aiohttp_plain_json,
    "httpx": httpx_client,
}


@contextmanager
def stub() -> Iterator[str]:
    """The address of a stub of our own."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.stub"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()


def parts(call: ModelCall) -> dict[str, float]:
    """Microseconds of what the adapter does around HTTP."""
    body, raw = openai.body(call), orjson.dumps(_ANSWER)
    steps: dict[str, Callable[[], object]] = {
        "build the body": lambda: openai.body(call),
        "write it (orjson)": lambda: orjson.dumps(body),
        "write it (json)": lambda: json.dumps(body),
        "read the answer (orjson)": lambda: orjson.loads(raw),
        "read the answer (json)": lambda: json.loads(raw),
        "make it a reply": lambda: openai.reply(call, _ANSWER, {}, "id"),
    }
    return {name: _microseconds(step) for name, step in steps.items()}


_ANSWER = {
    "id": "1",
    "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "x" * 200, "refusal": None}}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
}


def _microseconds(step: Callable[[], object], times: int = 5000) -> float:
    started = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - started) * 1e6 / times


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http_clients", description=__doc__)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with stub() as address:
        deployment = Deployment(
            "stub/m", "stub", "m", "openai", address, Price("1", Decimal(1), Decimal(1)), api_key="x"
        )
        call = ModelCall(deployment, MESSAGES, SCHEMA, {"temperature": 0, "max_tokens": 200}, {}, "request", 60.0)
        print("| one call | µs of CPU, median | least - most |\n| --- | --- | --- |")
        for name, client in CLIENTS.items():
            url = address + openai.PATH
            runs = [uvloop.run(client(url, call, arguments.calls)) for _ in range(arguments.runs)]
            print(f"| {name} | {statistics.median(runs):.0f} | {min(runs):.0f} - {max(runs):.0f} |")
        for name, microseconds in parts(call).items():
            print(f"| ... {name} | {microseconds:.1f} | |")


if __name__ == "__main__":
    main()
