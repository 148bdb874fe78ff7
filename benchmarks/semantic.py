"""What a look-up in other words costs: `DATABASE_URL=… python -m benchmarks.semantic [ENTRIES] [DIMENSIONS]`.

In a database of its own, which it removes: ENTRIES answers (100,000) of 50 tenants, a fifth of them of one, with
vectors of DIMENSIONS (384). Then our two statements, in batches of 1, 50 and 500, beside what nearest-neighbour
searches over the same rows cost: of all vectors of the largest tenant, and through an HNSW index with the tenant as a
filter.
"""

import array
import os
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256

import asyncpg
import uvloop

from benchmarks.databases import own_database
from connectors.postgres.pool import connect
from connectors.postgres.similar import PostgresSimilarAnswers
from domain.caching.guard import digest
from domain.caching.semantic import Kept, Known, Place

TENANTS, ROUNDS = 50, 60
ENTRY = b"e" * 300
QUESTION = "Hi, could you please tell me how to reset my password?"


def place(number: int) -> Place:
    tenant = "tenant-0" if number % 5 == 0 else f"tenant-{number % TENANTS}"
    return Place(tenant, b"p" * 32, sha256(b"%d" % number).digest(), "faq", 1)


def vector(number: int, dimensions: int) -> Sequence[float]:
    draw = random.Random(number)
    return array.array("f", [draw.gauss(0, 1) for _ in range(dimensions)])


async def fill(answers: PostgresSimilarAnswers, entries: int, dimensions: int) -> None:
    shared = [vector(number, dimensions) for number in range(2_000)]
    seconds = 0.0
    for start in range(0, entries, 500):
        numbers = range(start, min(start + 500, entries))
        batch = [
            Kept(place(n), shared[n % 2_000], Known(1.0, ENTRY, f"{place(n).tenant}:{n}", {}), 86_400) for n in numbers
        ]
        began = time.perf_counter()
        await answers.keep(batch)
        seconds += time.perf_counter() - began
    print(f"{entries:,} entries kept in batches of 500: {seconds / entries * 1e6:.0f} µs each")


async def timed(name: str, size: int, work: Callable[[], Awaitable[object]]) -> None:
    """The median and the 99th percentile of a batch, and its share of one."""
    spent = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await work()
        spent.append((time.perf_counter() - began) * 1e3)
    median, worst = statistics.median(spent), sorted(spent)[int(0.99 * ROUNDS)]
    print(f"{name:<34} {size:>5}   {median:8.2f} {worst:8.2f} ms   {median / size * 1e3:8.1f} µs each")


async def ours(answers: PostgresSimilarAnswers, entries: int, dimensions: int) -> None:
    draw, asked = random.Random(1), vector(7, dimensions)
    for size in (1, 50, 500):
        misses = [place(entries + n) for n in range(size)]
        await timed("peek, nothing known", size, lambda given=misses: answers.peek(given))  # type: ignore[misc]

        async def both(size: int = size) -> None:
            places = [place(draw.randrange(entries)) for _ in range(size)]
            assert all(seen.known for seen in await answers.peek(places))
            assert all(await answers.compare([(one, asked) for one in places]))

        await timed("peek and compare, known", size, both)


async def searches(admin: asyncpg.Connection, dimensions: int) -> None:
    """What finding the nearest of a tenant's answers would cost in the place of a step down the key."""
    text = f"[{','.join(map(str, vector(7, dimensions)))}]"
    nearest = (  # the numbers and the letters are ours
        f"SELECT sense FROM similar_answers WHERE tenant = 'tenant-0' AND partition = '{'p' * 32}'::bytea "  # noqa: S608
        f"ORDER BY embedding::vector({dimensions}) <=> '{text}'::vector({dimensions}) LIMIT 4"
    )
    await timed("nearest of one tenant, exact", 1, lambda: admin.fetch(nearest))
    began = time.perf_counter()
    await admin.execute(
        f"SET maintenance_work_mem = '1GB'; CREATE INDEX ON similar_answers "
        f"USING hnsw ((embedding::vector({dimensions})) vector_cosine_ops)"
    )
    print(f"an HNSW index over them is built in {time.perf_counter() - began:.0f} s")
    await admin.execute("SET hnsw.iterative_scan = strict_order; SET enable_sort = off; SET enable_bitmapscan = off")
    await timed("nearest of one tenant, HNSW", 1, lambda: admin.fetch(nearest))


async def main(url: str) -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    dimensions = int(sys.argv[2]) if len(sys.argv) > 2 else 384
    pool = await connect(url, 1, timeout=60.0)
    admin = await asyncpg.connect(url)
    answers = PostgresSimilarAnswers(pool)
    await fill(answers, entries, dimensions)
    await admin.execute("VACUUM ANALYZE similar_answers")
    began = time.perf_counter()
    for _ in range(1_000):
        digest([QUESTION])
    print(f"the guard: {(time.perf_counter() - began) * 1e3:.0f} µs a question; load {os.getloadavg()[0]:.1f}")
    await ours(answers, entries, dimensions)
    await searches(admin, dimensions)
    await admin.close()
    await pool.close()


if __name__ == "__main__":
    with own_database() as found:
        uvloop.run(main(found))
