"""`python -m tests.load SCENARIO --url URL`: clients ask an API for a while; exits 1 when any of them failed.

The API key is read from LOAD_KEY, so that no list of processes shows it. Without an URL both are those of the stack
that `structured-prompt up` runs here. The page with plots is Locust's, in one file that loads nothing.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ops.local.environment import read_env
from tests.load.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "build" / "load"
FINISH_S = 250
"""What has begun may end."""


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    key: str


@dataclass(frozen=True, slots=True)
class Order:
    """A scenario with so many clients for so long; the figures and the page go to `pages`."""

    scenario: str
    clients: int
    seconds: float
    pages: Path = PAGES


def load(order: Order, target: Target) -> tuple[int, dict[str, tuple[int, int]]]:
    """The exit code, and how many requests there were and failed, by name."""
    order.pages.mkdir(parents=True, exist_ok=True)
    prefix = order.pages / order.scenario
    command = [
        sys.executable, "-m", "locust", "--locustfile", str(ROOT / "tests/load/users.py"), "--headless",
        "--only-summary", "--host", target.url, "--scenario", order.scenario, "--clients", str(order.clients),
        "--seconds", str(order.seconds), "--stop-timeout", str(FINISH_S), "--loglevel", "ERROR",
        "--csv", str(prefix), "--csv-full-history", "--html", f"{prefix}.html", "--json-file", str(prefix),
    ]  # fmt: skip
    environment = {**os.environ, "LOAD_KEY": target.key, "PYTHONPATH": str(ROOT)}
    code = subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode
    rows = json.loads(Path(f"{prefix}.json").read_text())
    return code or int(not rows), {row["name"]: (row["num_requests"], row["num_failures"]) for row in rows}


def target(url: str, data: Path) -> Target:
    """Raises SystemExit when there is nobody to ask."""
    if url and not os.environ.get("LOAD_KEY"):
        sys.exit(f"no key for {url}: say KEY=sp_live_… to make, or put it into LOAD_KEY")
    if url:
        return Target(url.rstrip("/"), os.environ["LOAD_KEY"])
    try:
        values = read_env(data)
    except FileNotFoundError:
        sys.exit("nobody to ask: say --url, with the key in LOAD_KEY, or start a stack with `structured-prompt up`")
    return Target(values["API_URL"], values["API_KEY"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("scenario", choices=list(SCENARIOS))
    parser.add_argument("--url", default="", help="of the API; else that of the embedded stack")
    parser.add_argument("--clients", type=int, default=0, help="at most; each begins one task a second")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--data", type=Path, default=Path(".local"), help="of the embedded stack")
    given = parser.parse_args()
    chosen = SCENARIOS[given.scenario]
    order = Order(given.scenario, given.clients or chosen.clients, given.seconds or chosen.seconds)
    code, rows = load(order, target(given.url, given.data))
    asked, failed = (sum(column) for column in zip(*rows.values(), strict=True)) if rows else (0, 0)
    print(f"{asked} requests, {failed} failed; the page with plots: {order.pages / given.scenario}.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
