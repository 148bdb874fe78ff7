"""What `python -m benchmarks` measures. Each measure takes running engines and gives its figures.

Lines that are compared take turns within a run (A B A B), so that a machine that becomes slower does so for both.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from benchmarks.engines import Engines
from benchmarks.fairness import LATENCY_MS, QUIET, beside_flood, beside_unread
from benchmarks.line import Line, Ours, PlainPython, Prototype, Run, Stub
from benchmarks.report import Figure
from benchmarks.route import ALONE, WARM_UP, added_ms
from benchmarks.sinks import sink_runs
from benchmarks.traffic import requests


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measure gets. `share` makes all counts smaller for a quick look."""

    engines: Engines
    stub: Stub
    runs: int
    share: float

    def count(self, events: int) -> int:
        return max(100, int(events * self.share))


def throughput(bench: Bench) -> list[Figure]:
    """Events a second and CPU an event at a provider of 0 ms, ours and the prototype; one event at a time; and ours
    with a second infer process, which uses what one leaves of two cores."""
    with ExitStack() as lines:
        prototype, ours = _both(bench, lines)
        runs = _in_turns(bench, (ours, prototype), 10_000, "plain")
        slow = [line.one_by_one(requests(bench.count(300), "alone")) for line in (ours, prototype) * bench.runs]
        ours.add("infer-2", ["worker", "--stage", "infer"])
        pair = _in_turns(bench, (ours, prototype), 10_000, "pair")
    mine, theirs = runs
    latencies = [
        Figure(f"ms from produce to result, one at a time, {name}", _at(slow[0::2], q), _at(slow[1::2], q), "", 1)
        for name, q in (("p50", 0.5), ("p99", 0.99))
    ]
    return [
        *_speed("events/s, provider 0 ms, two infer processes", "≥ 2,500", *pair),
        Figure("… CPU µs an event: intake + infer", *([_own(run) for run in runs] for runs in pair)),
        *_speed("events/s, provider 0 ms, one infer process", "", mine, theirs),
        *_cpu(mine, theirs),
        *latencies,
    ]


def patience(bench: Bench) -> list[Figure]:
    """Events a second at a provider of 1 s with 4,000 slots."""
    with ExitStack() as lines:
        prototype, ours = _both(bench, lines, slots=4000)
        bench.stub.reset(latency_ms=1000)
        try:
            mine, theirs = _in_turns(bench, (ours, prototype), 15_000, "slow")
        finally:
            bench.stub.reset(latency_ms=0)
    return _speed("events/s, provider 1 s, 4,000 slots", "≥ 1,800", mine, theirs)


def cache(bench: Bench) -> list[Figure]:
    """Answers from the exact cache, from Kafka to Kafka."""
    with Ours("ours", bench.engines, bench.stub) as ours:
        ours.burst(requests(1000, "cached", prompts=1000))
        bench.stub.reset(latency_ms=0)
        runs = [
            ours.burst(requests(bench.count(10_000), "cached", prompts=1000), cached=True) for _ in range(bench.runs)
        ]
        missed = bench.stub.calls
    cpu = [run.cpu_us["intake"] for run in runs]
    return [
        Figure("cache hits/s from Kafka to Kafka", [run.per_second for run in runs], (), "≥ 4,000"),
        Figure("… µs of CPU of intake a hit", cpu),
        Figure("… provider calls made for all of them", [missed], (), "0"),
    ]


def everything(bench: Bench) -> list[Figure]:
    """All processes at once: API, intake, infer, wake, the ClickHouse sink; the synchronous route before and after
    bursts, whose data the disk still writes then; memory."""
    with Ours("ours", bench.engines, bench.stub) as ours:
        ours.add("wake", ["worker", "--stage", "wake"])
        ours.add("sink", ["sink", "clickhouse"])
        api, key = ours.add_api(), ours.new_key()
        calm = [_route(bench, api, key) for _ in range(bench.runs)]
        runs = [ours.burst(requests(bench.count(10_000), f"all {number}")) for number in range(bench.runs)]
        after = [_route(bench, api, key) for _ in range(bench.runs)]
        memory = {name: ours.process(name).rss_mb for name in ("intake", "infer", "api", "sink")}
    goals = {"intake": "≤ 150", "infer": "≤ 150", "api": "≤ 120", "sink": "≤ 120"}
    return [
        Figure("events/s with API, wake and sink beside", [run.per_second for run in runs]),
        *_added("ms added by the synchronous route at 50/s", calm),
        *_added("… the same in the minute after those bursts", after),
        *(Figure(f"RSS of {name} after it, MB", [rss], (), goals[name]) for name, rss in memory.items()),
    ]


def _added(what: str, routes: Sequence[tuple[float, float]]) -> list[Figure]:
    goals = {"p50": "≤ 13", "p99": "≤ 40"}
    return [
        Figure(f"{what}, {q}", [route[n] for route in routes], (), goal, 1) for n, (q, goal) in enumerate(goals.items())
    ]


def sink(bench: Bench) -> list[Figure]:
    """The ClickHouse sink alone, from topics that are full to tables that hold everything."""
    with Ours("ours", bench.engines, bench.stub) as ours:
        runs = sink_runs(ours, bench.count(200_000), bench.runs)
    return [
        Figure("ClickHouse sink rows/s", [run.per_second for run in runs], (), "≥ 100,000"),
        Figure(
            "… µs of its CPU an event (a result and a usage record)", [2 * run.cpu_us for run in runs], (), "≤ 50", 1
        ),
        Figure("… µs of the engine's CPU an event", [2 * run.engine_us for run in runs], (), "", 1),
        Figure("… RSS, MB", [run.rss_mb for run in runs], (), "≤ 120"),
    ]


def plain(bench: Bench) -> list[Figure]:
    """What one would write without us, with LiteLLM, beside our line on the same stub."""
    with ExitStack() as lines:
        ours = lines.enter_context(Ours("ours", bench.engines, bench.stub))
        plain = lines.enter_context(PlainPython("plain", bench.engines, bench.stub))
        mine, theirs = _in_turns(bench, (ours, plain), 1000, "peer")
        rss = [plain.process("plain").rss_mb]
    return [
        Figure("events/s, 0 ms; beside it plain Python with LiteLLM", _rates(mine), _rates(theirs)),
        Figure("… CPU µs an event", [_own(run) for run in mine], [run.cpu_us["plain"] for run in theirs]),
        Figure("… its RSS, MB", rss),
    ]


def fair(bench: Bench) -> list[Figure]:
    """What a flood does to who comes behind it: to another lane, and to another tenant of the same lane."""
    with Ours("ours", bench.engines, bench.stub, settings={"STRUCTURED_PROMPT_TENANT_TOPICS": QUIET}) as ours:
        ours.add("wake", ["worker", "--stage", "wake"])
        bench.stub.reset(latency_ms=LATENCY_MS)
        try:
            lanes = [beside_flood(ours, "interactive", "bulk", bench.count(10_000)) for _ in range(bench.runs)]
            tenants = [beside_flood(ours, "standard", "standard", bench.count(10_000)) for _ in range(bench.runs)]
            topics = [beside_unread(ours, bench.count(10_000)) for _ in range(bench.runs)]
        finally:
            bench.stub.reset(latency_ms=0)
    return [
        *_beside("interactive, 10,000 bulk events of another tenant queued", "≤ 1.20 ×", lanes),
        *_beside("a quiet tenant, 10,000 events of another in its lane claimed", "≤ 2.00 ×", tenants),
        *_beside("a quiet tenant with a topic of its own, 10,000 events of another just sent", "≤ 2.00 ×", topics),
    ]


def _beside(what: str, goal: str, pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[Figure]:
    alone, beside = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return [
        Figure(f"ms, {what}, {name}; beside it: alone", _at(beside, q), _at(alone, q), goal if q > 0.9 else "")
        for name, q in (("p50", 0.5), ("p99", 0.99))
    ]


MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "throughput": throughput,
    "patience": patience,
    "cache": cache,
    "everything": everything,
    "sink": sink,
    "plain": plain,
    "fair": fair,
}


def _route(bench: Bench, api: str, key: str) -> tuple[float, float]:
    count, calls = bench.count(300), bench.stub.calls
    added = added_ms(api, key, bench.stub.url, count)
    bench.stub.expect(calls + count + WARM_UP + ALONE)
    return added


def _both(bench: Bench, lines: ExitStack, slots: int = 2000) -> tuple[Prototype, Ours]:
    prototype = Prototype("prototype", bench.engines, bench.stub, slots=slots)
    ours = Ours("ours", bench.engines, bench.stub, slots=slots)
    return lines.enter_context(prototype), lines.enter_context(ours)


def _in_turns(bench: Bench, lines: Sequence[Line], events: int, name: str) -> list[list[Run]]:
    """The runs of each line. One round before them does not count: the broker compiles its own code in it."""
    for line in lines:
        line.burst(requests(bench.count(events), f"{name} warm up"))
    runs: list[list[Run]] = [[] for _ in lines]
    for number in range(bench.runs):
        for line, mine in zip(lines, runs, strict=True):
            mine.append(line.burst(requests(bench.count(events), f"{name} {number}")))
            time.sleep(0.5)  # what is left of one burst is not the next one's
    return runs


def _speed(what: str, goal: str, mine: Sequence[Run], theirs: Sequence[Run]) -> list[Figure]:
    return [Figure(what, _rates(mine), _rates(theirs), goal)]


def _cpu(mine: Sequence[Run], theirs: Sequence[Run]) -> list[Figure]:
    both = "CPU µs an event: intake + infer"
    together = Figure(both, [_own(run) for run in mine], [_own(run) for run in theirs], "≤ 370")
    names = ("intake", "infer", "kafka", "postgres", "redis", "stub", "client")
    pick = partial(_of, mine, theirs)
    return [together, *(Figure(f"… {name}", *pick(name)) for name in names)]


def _of(mine: Sequence[Run], theirs: Sequence[Run], name: str) -> tuple[list[float], list[float]]:
    return [run.cpu_us[name] for run in mine], [run.cpu_us[name] for run in theirs]


def _own(run: Run) -> float:
    return sum(used for name, used in run.cpu_us.items() if name.startswith(("intake", "infer")))


def _rates(runs: Sequence[Run]) -> list[float]:
    return [run.per_second for run in runs]


def _at(runs: Sequence[Sequence[float]], share: float) -> list[float]:
    return [run[min(len(run) - 1, int(len(run) * share))] for run in runs]
