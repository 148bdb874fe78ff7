"""A command of ours under pyinstrument: `python -m benchmarks.profiled REPORT worker --stage infer`.

Its main thread is sampled each millisecond until SIGTERM; the tree of what took the time goes to REPORT.
"""

import atexit
import sys
from pathlib import Path

from pyinstrument import Profiler

from cli.main import run


def main() -> None:
    report = Path(sys.argv[1])
    sys.argv = ["structured-prompt", *sys.argv[2:]]
    profiler = Profiler(interval=0.001, async_mode="disabled")

    def write() -> None:
        profiler.stop()
        report.write_text(profiler.output_text(unicode=True, show_all=True, time="percent_of_total"))

    atexit.register(write)
    profiler.start()
    run()


if __name__ == "__main__":
    main()
