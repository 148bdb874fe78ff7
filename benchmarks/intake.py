"""What a decision of intake costs an event: `REDIS_URL=… python -m benchmarks.intake`.

Limits and places for batches of 1, 50 and 500 requests of 17 tenants, with the limits of a tenant that has none of its
own, and then with limits of tokens and of calls in flight; with the departures that infer tells later. In the database
that the URL names, whose keys it removes. CPU is that of this process and of Redis (this machine only).
"""

import os
import time
from dataclasses import replace
from statistics import median

import psutil
import uvloop

from connectors.redis.client import RedisClient
from connectors.redis.limiter import RedisLimiter
from domain.accounts.limits import Defaults, rules_of
from domain.accounts.model import Tenant
from domain.admission.model import Charge, Departure, Flight, Rules

TENANTS = 17
DEFAULTS = Defaults(600_000_000, 100_000_000)
KINDS = {
    "the settings' limits": {},
    "with tokens and concurrency": {"tokens_per_minute": 2_000_000_000, "concurrency": 1_000},
}


def batch_of(rules: list[Rules], first: int, size: int) -> list[Charge]:
    """As intake makes it."""
    charges = []
    for n in range(first, first + size):
        mine = rules[n % TENANTS]
        flight = Flight(f"t{n % TENANTS}", "standard", f"order-{n:09}", 1)
        charges.append(Charge(mine.limits, False, 300 if mine.count_tokens else 0, mine.gates, flight))
    return charges


async def measure(limiter: RedisLimiter, server: psutil.Process, rules: list[Rules], size: int) -> list[float]:
    """Microseconds an event: until the answer, our CPU, Redis's; then both of them for the departure."""
    rounds = {1: 1_000, 50: 200, 500: 60}[size]
    wall = ours = theirs = leaving_ours = leaving_theirs = 0.0
    for turn in range(rounds):
        began, own, its = time.perf_counter(), time.process_time(), cpu_of(server)
        batch = batch_of(rules, turn * size, size)
        answers = await limiter.admit(batch)
        wall += time.perf_counter() - began
        ours, theirs = ours + time.process_time() - own, theirs + cpu_of(server) - its
        assert all(answer.passes for answer in answers)
        own, its = time.process_time(), cpu_of(server)
        await limiter.leave([Departure(one.flight, 100) for one in batch if one.flight])
        leaving_ours, leaving_theirs = leaving_ours + time.process_time() - own, leaving_theirs + cpu_of(server) - its
    return [one / rounds / size * 1e6 for one in (wall, ours, theirs, leaving_ours, leaving_theirs)]


def cpu_of(server: psutil.Process) -> float:
    times = server.cpu_times()
    return float(times.user + times.system)


async def main() -> None:
    client = RedisClient(os.environ["REDIS_URL"], timeout_s=5)
    server = psutil.Process((await client.redis.info())["process_id"])
    print("| limits | batch | µs until the answer | our CPU | Redis's | departure: ours | Redis's |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind, own in KINDS.items():
        rules = [rules_of(replace(Tenant(f"t{n}"), **own), None, "standard", DEFAULTS) for n in range(TENANTS)]
        for size in (1, 50, 500):
            limiter = RedisLimiter(client)
            await limiter.admit(batch_of(rules, 0, 1))
            runs = [await measure(limiter, server, rules, size) for _ in range(3)]
            figures = " | ".join(f"{median(column):.1f}" for column in zip(*runs, strict=True))
            print(f"| {kind} | {size} | {figures} |", flush=True)
    await client.redis.flushdb()
    await client.close()


if __name__ == "__main__":
    uvloop.run(main())
