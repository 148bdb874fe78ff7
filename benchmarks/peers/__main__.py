"""`python -m benchmarks.peers [ours litellm portkey tensorzero]`: the same four probes for each of them.

All stand before one simulated provider, and retry up to five times where they can. What is missing is installed. Some
listen on every address of the machine: they get a network of their own (`unshare`), with a loopback and nothing else.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import aiohttp

from benchmarks import report
from benchmarks.engines import free_port
from benchmarks.peers.gateways import GATEWAYS, Gateway
from benchmarks.peers.probes import BUDGET, PATIENCE_S, PROBES, Asker, most_of_one, over_budget
from benchmarks.processes import Failed, Process

T = TypeVar("T")
PAGES = (report.PAGE, report.PAGE.with_name("comparisons.md"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(GATEWAYS)}; all without")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="write the table into the pages of docs/")
    arguments = parser.parse_args()
    names = arguments.names or list(GATEWAYS)
    if unknown := [name for name in names if name not in GATEWAYS]:
        parser.error(f"no peer {', '.join(unknown)}; there are: {', '.join(GATEWAYS)}")
    if not arguments.inside:
        names = [name for name in names if _installed(name)]
        _go_inside([*names, "--inside", *(["--write"] if arguments.write else [])])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    text = _table(_columns(names))
    print(text)
    if arguments.write:
        for page in PAGES:
            report.write("peers", text, page)
    return 0


def _installed(name: str) -> bool:
    try:
        GATEWAYS[name].install()
    except Failed as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return False
    return True


def _go_inside(words: list[str]) -> None:
    """This program again, where nothing but a loopback is."""
    command = 'ip link set lo up && exec "$@"'
    again = [sys.executable, "-m", "benchmarks.peers", *words]
    allowed = [] if os.geteuid() == 0 else ["--map-current-user", "--keep-caps"]
    os.execvp("unshare", ["unshare", *allowed, "--net", "sh", "-c", command, "sh", *again])  # noqa: S606


def _columns(names: list[str]) -> dict[str, list[str]]:
    columns = {}
    with _provider() as provider:
        for name in names:
            print(f"{name} …", file=sys.stderr)
            try:
                columns[GATEWAYS[name].name] = _column(GATEWAYS[name], provider)
            except Failed as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
    return columns


@contextmanager
def _provider() -> Iterator[str]:
    port = free_port()
    process = Process("provider", ["ops.local.provider", "--host", "127.0.0.1", "--port", str(port)])
    try:
        process.wait_http(f"http://127.0.0.1:{port}/control")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.stop()


def _column(kind: type[Gateway], provider: str) -> list[str]:
    """What became of each probe, the budget last."""
    with kind(provider) as gateway:
        cells = [_asked(gateway, probe) for _, probe in PROBES.values()]
    if not kind.budgets:
        return [*cells, "has no budgets"]
    with kind(provider, most_of_one() * 1.33) as gateway:
        return [*cells, _asked(gateway, over_budget)]


def _asked(gateway: Gateway, probe: Callable[[Asker], Awaitable[T]]) -> T:
    async def run() -> T:
        patience = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=patience) as session:
            return await probe(Asker(gateway, session))

    return asyncio.run(run())


def _table(columns: dict[str, list[str]]) -> str:
    whats = [*(what for what, _ in PROBES.values()), BUDGET]
    rows = [("", *columns), tuple("---" for _ in range(len(columns) + 1))]
    rows += [(what, *(cells[number] for cells in columns.values())) for number, what in enumerate(whats)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
