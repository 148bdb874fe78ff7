"""`python -m benchmarks [NAME …]`: how fast the line is, beside a prototype with the same durable steps.

It starts engines of its own and touches nobody's data. Without names everything is measured, which takes about ten
minutes; each name is one part. The small benchmarks that chose our libraries have modules of their own.
"""

import argparse
import os
import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks import report
from benchmarks.engines import Engines
from benchmarks.line import Ours, Stub
from benchmarks.measures import MEASURES, Bench
from benchmarks.processes import Failed
from benchmarks.traffic import Lost, requests


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURES)}; all without")
    parser.add_argument("--runs", type=int, default=3, help="of each (default: 3)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the events")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/benchmarks.md")
    parser.add_argument("--profile", choices=("intake", "infer"), help="measure nothing; where this worker's time goes")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in MEASURES]
    if unknown:
        parser.error(f"no measure {', '.join(unknown)}; there are: {', '.join(MEASURES)}")
    return arguments


def main() -> int:
    arguments = parse()
    # whoever stops it stops its engines too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if arguments.profile:
        profile(arguments.profile)
        return 0
    return 1 if measure(arguments) else 0


@contextmanager
def surroundings() -> Iterator[tuple[Engines, Stub]]:
    """Fresh for every measure: what one leaves behind is not the next one's."""
    with Engines() as engines:
        stub = Stub()
        try:
            yield engines, stub
        finally:
            stub.process.stop()


def measure(arguments: argparse.Namespace) -> list[str]:
    """The names of what could not be measured."""
    print(machine(), flush=True)
    failed = []
    for name in arguments.names or MEASURES:
        try:
            with surroundings() as (engines, stub):
                share = 0.2 if arguments.quick else 1.0
                text = report.table(MEASURES[name](Bench(engines, stub, arguments.runs, share)))
        except (Failed, Lost) as error:
            print(f"{name} failed: {error}", file=sys.stderr)
            failed.append(name)
            continue
        print(f"\n## {name}\n{text}", flush=True)
        if arguments.write:
            report.write(name, text)
            report.write("machine", machine())
    return failed


def machine() -> str:
    """What the figures were measured on."""
    memory = psutil.virtual_memory().total / 2**30
    busy = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}, load {busy:.1f} before it began."
    )


def profile(stage: str) -> None:
    path = Path(f"/tmp/structured-prompt-{stage}-profile.txt")  # noqa: S108 - said on the terminal
    with surroundings() as (engines, stub), Ours("ours", engines, stub, profile=stage, report=path) as ours:
        for number in range(3):
            run = ours.burst(requests(5_000, f"profiled {number}"))
            print(f"{run.per_second:,.0f} events/s, {run.cpu_us[stage]:.0f} µs of CPU of {stage} an event", flush=True)
    print(f"where {stage} spends its time: {path}")


if __name__ == "__main__":
    sys.exit(main())
