"""`python -m tests.chaos --seeds 7 --form short`: carry out a plan; exit 1 when something did not hold.

short, full   a seeded plan of faults under load; several seeds run one after the other on one stack
stops         fifty orderly stops, and the times they take
restarts      a rolling restart and a kill, and the times until work went on
`--plan` only prints; `--write` puts the figures into docs/guarantees.md.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos import harness, page, stops
from tests.chaos.harness import Report
from tests.chaos.plan import FORMS
from tests.chaos.running import Running

STOPS, RESTARTS = "stops", "restarts"
PARTS = {"full": "chaos-full", STOPS: "chaos-stops", RESTARTS: "chaos-stops"}
"""Of docs/guarantees.md."""


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stack is stopped too
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    if arguments.plan:
        print("\n".join(str(FORMS[arguments.form](seed)) for seed in seeds))
        return 0
    data = arguments.data or Path(tempfile.mkdtemp(prefix="chaos-"))
    with Running(data) as stack:
        reports = _run(stack, arguments.form, seeds, arguments.stops)
    columns = [page.Column.of(report) for report in reports]
    if arguments.keep:
        columns = page.kept(columns, arguments.keep)
    if arguments.write:
        page.write(PARTS[arguments.form], columns)
    return 0 if all(report.held for report in reports) else 1


def _run(stack: Running, form: str, seeds: Sequence[int], count: int) -> list[Report]:
    if form == STOPS:
        return [stops.orderly(stack, count)]
    if form == RESTARTS:
        return [stops.rolling(stack), stops.killed(stack)]
    return [harness.run(stack, FORMS[form](seed)) for seed in seeds]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="1", help="separated by commas")
    parser.add_argument("--form", choices=[*FORMS, STOPS, RESTARTS], default="short")
    parser.add_argument("--stops", type=int, default=50, help="how many orderly stops")
    parser.add_argument("--plan", action="store_true", help="print the plans and break nothing")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/guarantees.md")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the figures of earlier runs too, kept in FILE")
    parser.add_argument("--data", type=Path, help="keep the stack and its logs here")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
