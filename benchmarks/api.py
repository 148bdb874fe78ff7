"""`202`s a second of the API alone: `python -m benchmarks.api [--runs 3] [--quick]`.

Nobody works on what is accepted. In turns: one process of ours, the prototype's POST (a row, a record, 202, and nothing
else; benchmarks/prototype/door.py), and two of ours, on engines of their own, from a client that costs little.
`--profile FILE` measures nothing and says where the API's time goes.
"""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.engines import Engines, free_port
from benchmarks.line import ENGINES, Ours, Stub
from benchmarks.posting import post_all
from benchmarks.processes import Process
from benchmarks.prototype import door, outside
from benchmarks.report import Figure, table
from benchmarks.traffic import of_tenant

REQUESTS, CONNECTIONS = 15_000, 128
"""So many at once: 64 leave a quarter of two cores idle, and it is their waiting that is measured."""
PATH = "/v1/analyze/async"


class Alone(Ours):
    """Our API, in as many processes as are added, without a line behind it."""

    def __enter__(self) -> "Alone":
        try:
            self.prepare()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Side:
    """What is asked, and the processes whose CPU counts."""

    urls: Sequence[str]
    headers: Sequence[str]
    processes: Sequence[Process]


@dataclass(frozen=True, slots=True)
class Burst:
    """Requests a second, and microseconds of CPU a request of the API, its engines and the client."""

    per_second: float
    cpu_us: Mapping[str, float]
    rss_mb: float


def burst(side: Side, engines: Engines, count: int) -> Burst:
    bodies = [_body(request.value) for request in of_tenant(count, "t0", "standard")]
    before = _cpu(side, engines)
    seconds = post_all(side.urls, side.headers, bodies, CONNECTIONS)
    after = _cpu(side, engines)
    cpu = {name: (after[name] - before[name]) / count * 1e6 for name in before}
    return Burst(count / seconds, cpu, max(process.rss_mb for process in side.processes))


def _cpu(side: Side, engines: Engines) -> dict[str, float]:
    own = {"api": sum(process.cpu for process in side.processes), "client": time.process_time()}
    return own | {name: engines.cpu(name) for name in ENGINES}


def _body(value: bytes) -> bytes:
    fields = orjson.loads(value)
    return orjson.dumps({name: fields[name] for name in fields if name != "tenant"})


def _prototype(engines: Engines) -> Side:
    engines.new_topics(outside.TOPICS)
    port, database = free_port(), engines.new_database("door", door.SCHEMA)
    words = ["--kafka", engines.kafka, "--database", database, "--port", str(port)]
    process = Process("door", ["benchmarks.prototype.door", *words])
    process.wait_port(port)
    return Side([f"http://127.0.0.1:{port}{PATH}"], (), [process])


def measure(runs: int, count: int) -> list[Figure]:
    with ExitStack() as stack:
        engines = stack.enter_context(Engines())
        ours = stack.enter_context(Alone("api", engines, Stub()))
        stack.callback(ours.stub.process.stop)
        urls = [ours.add_api() + PATH for _ in range(2)]
        keyed = [f"Authorization: Bearer {ours.new_key()}"]
        one, two = Side(urls[:1], keyed, ours.processes[:1]), Side(urls, keyed, ours.processes)
        bare = _prototype(engines)
        stack.callback(bare.processes[0].stop)
        for side in (one, two, bare):
            burst(side, engines, count // 10)
        taken = [[burst(side, engines, count) for side in (one, bare, two)] for _ in range(runs)]
    return _figures(*(list(column) for column in zip(*taken, strict=True)))


def _figures(one: Sequence[Burst], bare: Sequence[Burst], two: Sequence[Burst]) -> list[Figure]:
    rates = [[run.per_second for run in side] for side in (one, bare, two)]
    return [
        Figure("202/s, one process; beside it the prototype's POST", rates[0], rates[1]),
        Figure("202/s, two processes; beside it one", rates[2], rates[0], "≥ 3,000"),
        *(
            Figure(f"µs of CPU a request, {name}", *([run.cpu_us[name] for run in side] for side in (one, bare)))
            for name in ("api", *ENGINES, "client")
        ),
        Figure("RSS of the API, MB", [run.rss_mb for run in one], (), "≤ 120"),
    ]


def profile(path: Path, count: int) -> None:
    with Engines() as engines, Alone("api", engines, Stub(), profile="api", report=path) as ours:
        side = Side([ours.add_api() + PATH], [f"Authorization: Bearer {ours.new_key()}"], ours.processes)
        print(f"{burst(side, engines, count).per_second:,.0f} a second")
        ours.stub.process.stop()
    print(f"where the time goes: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a third of the requests")
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args()
    count = REQUESTS // 3 if given.quick else REQUESTS
    if given.profile:
        profile(given.profile, count)
        return
    print(f"load {os.getloadavg()[0]:.1f} before it began", flush=True)
    print(table(measure(given.runs, count)))


if __name__ == "__main__":
    main()
