"""How many connections: `python -m benchmarks.pools [--runs 2] [--events 6000]`.

Our line with one size changed at a time: connections of a worker to PostgreSQL, and calls in flight (each is a
connection to the provider). Natural batches keep one statement of a kind in flight, so few find work; a slow provider
wants slots = rate × seconds. Each size has engines of its own, so compare only on a machine that does nothing else.
"""

import argparse
import statistics
from collections.abc import Sequence

from benchmarks.engines import Engines
from benchmarks.line import Ours, Run, Stub
from benchmarks.traffic import requests

POOLS = (1, 2, 4, 8)
SLOTS = (50, 200, 500, 2000, 4000)


def measure(line: Ours, runs: int, events: int) -> list[Run]:
    with line:
        return [line.burst(requests(events, f"pool {number}")) for number in range(runs)]


def row(what: str, runs: Sequence[Run]) -> str:
    rate = statistics.median(run.per_second for run in runs)
    own = statistics.median(run.cpu_us["intake"] + run.cpu_us["infer"] for run in runs)
    postgres = statistics.median(run.cpu_us["postgres"] for run in runs)
    return f"| {what} | {rate:,.0f} | {own:.0f} | {postgres:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pools", description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--events", type=int, default=6000)
    arguments = parser.parse_args()
    choices = [
        (f"PostgreSQL connections: {size}", 2000, {"STRUCTURED_PROMPT_DATABASE_POOL": str(size)}) for size in POOLS
    ]
    choices += [(f"calls in flight: {slots:,}", slots, {}) for slots in SLOTS]
    print("| | events/s | CPU µs an event: intake + infer | PostgreSQL |\n| --- | --- | --- | --- |", flush=True)
    for what, slots, settings in choices:
        with Engines() as engines:
            stub = Stub()
            try:
                line = Ours("ours", engines, stub, slots=slots, settings=settings)
                print(row(what, measure(line, arguments.runs, arguments.events)), flush=True)
            finally:
                stub.process.stop()


if __name__ == "__main__":
    main()
