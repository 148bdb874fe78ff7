"""python -m tests.simulation --seed N --count M: runs M schedules from seed N on, stops at the first that fails."""

import argparse
import os
import sys
import time

from tests.simulation.controls import CONTROLS
from tests.simulation.line import ORDINARY
from tests.simulation.runner import run_in_processes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1_000, help="how many seeds")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="over how many processes")
    parser.add_argument("--without", choices=CONTROLS, help="take a safeguard out: it must fail then")
    arguments = parser.parse_args()
    variant = CONTROLS[arguments.without] if arguments.without else ORDINARY
    began = time.monotonic()
    seeds = range(arguments.seed, arguments.seed + arguments.count)
    report = run_in_processes(seeds, variant, arguments.processes)
    took, used = time.monotonic() - began, os.times()
    cpu = used.user + used.system + used.children_user + used.children_system
    print(f"{report.schedules} complete schedules, {report.different} of them different, {report.steps} steps")
    print(f"{took:.1f} s, {cpu:.1f} s of CPU: {report.schedules / max(took, 0.001):.0f} schedules/s")
    print("faults that struck:", ", ".join(f"{kind} {n}" for kind, n in sorted(report.struck.items())))
    if report.failure is None:
        return 0
    print(f"\nFAILED: {report.failure.explained()}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
