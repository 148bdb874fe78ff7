"""How long after its fault an alert fires, in the virtual time of promtool: `python -m tests.monitoring.times`.

The fault is where the series of the alert's own test change, or their start. promtool is asked every 15 s.
"""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration: str) -> int:
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))


def samples(token: str) -> int:
    """How many of them a token of promtool's notation stands for."""
    match = re.search(r"x(\d+)$", token)
    return 1 if match is None else int(match[1]) + (not token.startswith("_"))


def fault(case: dict[str, Any]) -> int:
    """Seconds from the start to the first change of a series."""
    changing = [series["values"].split() for series in case["input_series"]]
    firsts = [samples(tokens[0]) for tokens in changing if len(tokens) > 1]
    return min(firsts, default=0) * seconds(case["interval"])


def fired(head: dict[str, Any], case: dict[str, Any]) -> int | None:
    """Seconds from the start to the first time at which it fires."""
    known, begin = seconds(case["promql_expr_test"][1]["eval_time"]), fault(case)
    step = 15 if known - begin <= 3 * 3600 else 300
    expr = f'count(ALERTS{{alertname="{case["name"]}",alertstate="firing"}})'
    asked = [{"expr": expr, "eval_time": f"{at}s", "exp_samples": []} for at in range(begin, known + step, step)]
    with tempfile.NamedTemporaryFile("w", suffix="_test.yml", dir=HERE) as file:
        yaml.safe_dump({**head, "evaluation_interval": "15s", "tests": [{**case, "promql_expr_test": asked}]}, file)
        file.flush()
        done = subprocess.run(["promtool", "test", "rules", file.name], capture_output=True, text=True, check=False)
    times = [seconds(time) for time in re.findall(r"time: ([0-9hmsd]+),", done.stdout + done.stderr)]
    return min(times, default=None)


def main() -> None:
    for path in sorted(HERE.glob("*_test.yml")):
        document = yaml.safe_load(path.read_text())
        head = {name: value for name, value in document.items() if name != "tests"}
        for case in document["tests"]:
            first = fired(head, case)
            after = "not within its test" if first is None else f"{first - fault(case)} s"
            print(f"{case['name']}: {after}", flush=True)


if __name__ == "__main__":
    main()
