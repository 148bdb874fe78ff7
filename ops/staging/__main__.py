"""`make staging DOMAIN=…`: everything on one machine behind Caddy, in containers or, without them, as processes.

Repeatable: secrets are made once and kept, what runs already is left alone, a new version replaces what changed.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from ops.local.control import console, typed
from ops.local.front import NAME
from ops.staging import secrets

ROOT = Path(__file__).parents[2]
FILES = ("-f", "docker-compose.yml", "-f", "ops/staging/compose.yml")
COMPOSE = ("docker", "compose", "--env-file", "ops/staging/.env", *FILES)
READERS = ("sink-clickhouse", "sink-destinations", "worker-wake", "worker-infer", "worker-intake")
# Compose stops all that it replaces before it starts the first: who does that with everything at once has no API until
# the migration is through, and nothing at all when it fails. The order is that of docs/upgrade.md.
STEPS = (
    ("build",),
    ("run", "--rm", "migrate"),
    ("run", "--rm", "topics"),
    ("up", "--wait", *READERS),
    ("up", "--wait", "--no-deps", "api"),
    ("up", "--wait", "--remove-orphans"),
)
NONE = """\
no container engine answers ({why}).
Install one (docs.docker.com/engine/install) and start it, or
say `make staging DOMAIN=localhost WITH=processes`, which runs the embedded engines and Caddy as processes."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make staging", description=__doc__)
    parser.add_argument("--domain", required=True, help="a name whose DNS points to this machine, or localhost")
    parser.add_argument("--with", dest="means", choices=("containers", "processes"), default="containers")
    parser.add_argument("--data", type=Path, default=ROOT / ".local" / "staging", help="of the processes")
    options = parser.parse_args()
    if not NAME.fullmatch(options.domain):
        return refused(f"DOMAIN={options.domain!r} is no name of a host: say localhost, or staging.example.com")
    began = time.monotonic()
    start = by_processes if options.means == "processes" else by_containers
    status = start(options.domain, options.data)
    if status == 0:
        print(f"up after {time.monotonic() - began:.0f} s; `make smoke` asks every route: docs/staging.md")
    return status


def by_containers(domain: str, _: Path) -> int:
    why = silent()
    if why:
        return refused(NONE.format(why=why))
    added = secrets.ensure(secrets.FILE, domain)
    print(f"{secrets.FILE}: {', '.join(added) or 'nothing'} added")
    for step in STEPS:
        status = subprocess.run([*COMPOSE, *step], cwd=ROOT, check=False).returncode
        if status:
            return refused(
                f"`{' '.join((*COMPOSE, *step))}` ended with {status}; {' '.join(COMPOSE)} ps -a shows what runs"
            )
    key = "exec api structured-prompt keys create --use-env --tenant demo --name me"
    print(f"https://{domain} answers. A key: {' '.join(COMPOSE)} {key}")
    return 0


def silent() -> str | None:
    """Why no container engine can be used; None when one answers."""
    for words, what in ((["info"], "docker info"), (["compose", "version"], "docker compose version")):
        try:
            asked = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=30, check=False)
        except FileNotFoundError:
            return "there is no program `docker`"
        except subprocess.TimeoutExpired:
            return f"`{what}` says nothing for 30 s"
        if asked.returncode != 0:
            return f"`{what}`: {(asked.stderr.strip() or asked.stdout.strip()).splitlines()[-1]}"
    return None


def by_processes(domain: str, data: Path) -> int:
    """The embedded stack with Caddy in front; stays when this ends. `structured-prompt down --data DIR` stops it."""
    words = console("up", "--detach", "--data", str(data), "--domain", domain)
    status = subprocess.run(words, cwd=ROOT, check=False).returncode
    if status == 0:
        print(f"addresses and the key: {data}/env; stop: {typed(f'structured-prompt down --data {data}')}")
    return status


def refused(why: str) -> int:
    print(why, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
