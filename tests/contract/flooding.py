"""One of several processes that flood the limits at once: `python -m tests.contract.flooding NUMBER REDIS_URL`.

Waits for a line on standard input, then prints JSON: when each event may pass and how many tokens it reserved, how long
the slowest call took, and how many of its calls were let into flight.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable

from connectors.redis.client import RedisClient
from connectors.redis.limiter import RedisLimiter
from domain.admission.model import Charge, Departure, Flight, Gate, Limit

REQUESTS = Limit("acme", per_minute=30_000, burst=100)
TOKENS = Limit("acme/tokens", per_minute=1_200_000, burst=5_000, unit="tokens")
PLACES = Gate("zeta/flights", 100)
EACH, ROUNDS, COST = 20, 10, 30


async def flood(number: int, url: str) -> dict[str, object]:
    client = RedisClient(url, timeout_s=10)
    limiter = RedisLimiter(client)
    await client.ping()
    print("ready", flush=True)
    sys.stdin.readline()
    passed: list[float] = []
    slowest = 0.0
    for turn in range(ROUNDS):
        batch = [charge(number, turn * EACH + n) for n in range(EACH)]
        began = time.time()
        answers = await limiter.admit(batch)
        slowest = max(slowest, time.time() - began)
        passed += [began + answer.wait for answer in answers]
        # half of what was reserved comes back
        await limiter.leave([Departure(one.flight, COST // 2) for one in batch[::2] if one.flight])
    held = [Flight("zeta", "bulk", f"{number} {n}", 1) for n in range(EACH * ROUNDS)]
    gates = (Gate("zeta/lane/bulk", None), PLACES)
    entered = await limiter.admit([Charge((), gates=gates, flight=one) for one in held])
    await client.close()
    return {"passed": passed, "slowest": slowest, "entered": sum(answer.passes for answer in entered)}


def charge(number: int, n: int) -> Charge:
    flight = Flight("acme", "bulk", f"{number} {n}", 1)
    gates = (Gate("acme/lane/bulk", None), Gate("acme/flights", None))
    return Charge((REQUESTS, TOKENS), False, COST, gates, flight)


def main(say: Callable[[str], None] = print) -> None:
    say(json.dumps(asyncio.run(flood(int(sys.argv[1]), sys.argv[2]))))


if __name__ == "__main__":
    main()
