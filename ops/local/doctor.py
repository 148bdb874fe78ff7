"""Can the embedded stack run here? Each check says what it found and what to do about it."""

import asyncio
import importlib.util
import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psutil

from connectors.catalog import catalogue
from connectors.postgres.similar import lacking_at
from domain import settings
from domain.errors import InvalidSettings, Unavailable

from .check import Check
from .environment import clean, is_setting, missing
from .instance import is_running
from .kafka import java_binary
from .kafka_jars import jars_of
from .ports import is_free
from .postgres import installed, reachable, unprivileged_account
from .program import StackError
from .redis import server_binary

GIB = 1 << 30
FULL = GIB // 4
"""Less, and Kafka does not start: its segments are allocated before they are written."""
PLACEHOLDERS = {
    "KAFKA_BOOTSTRAP_SERVERS": "embedded:9092",
    "DATABASE_URL": "postgresql://embedded/structured_prompt",
    "REDIS_URL": "redis://embedded/0",
    "CLICKHOUSE_URL": "http://embedded/structured_prompt",
}


def examine(
    data: Path, cache: Path, caller: Mapping[str, str], use_env: Iterable[str], port: int | None = None
) -> list[Check]:
    """What this machine and its environment tell, cheapest first; nothing is changed. `port` is the API's, if wished.

    doctor_stack.py looks at the stack of `data`, doctor_engines.py asks the engines.
    """
    families = tuple(use_env)
    return [
        _machine(),
        _python(),
        _memory(),
        _disk(data),
        _open_files(),
        *_embedded(cache, families),
        _pgvector(caller, families),
        _data(data),
        _api_port(data, port),
        _ignored(caller, families),
        _settings(caller, families),
        _models(caller, families),
    ]


def _machine() -> Check:
    found = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    known = platform.system() in ("Linux", "Darwin") and platform.machine() in ("x86_64", "aarch64", "arm64")
    return (
        Check("machine", "ok", found)
        if known
        else Check("machine", "fail", found, "use Linux (x86-64, arm64) or macOS; on Windows, WSL 2")
    )


def _python() -> Check:
    return Check("Python", "ok", f"{platform.python_version()} at {sys.prefix}")


def _memory() -> Check:
    free = psutil.virtual_memory().available
    found = f"{free / GIB:.1f} GiB free"
    if free > 2 * GIB:
        return Check("memory", "ok", found)
    return Check("memory", "warn", found, "the stack takes about 1.5 GB: close something, or use --use-env")


def _disk(data: Path) -> Check:
    place = next(folder for folder in (data, *data.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / GIB:.1f} GiB free at {place}"
    if free > 2 * GIB:
        return Check("disk", "ok", found)
    if free < FULL:
        return Check("disk", "fail", f"no space: {found}", "make room there, or structured-prompt up --data ELSEWHERE")
    return Check("disk", "warn", found, "Kafka and PostgreSQL stop when the disk is full: free some, or use --data")


def _open_files() -> Check:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit >= 1024:
        return Check("open files", "ok", str(limit))
    return Check("open files", "warn", str(limit), "raise it: ulimit -n 4096")


def _embedded(cache: Path, families: tuple[str, ...]) -> list[Check]:
    """The engines' own parts: of those that `up` would start, for an image in production holds none of them."""
    parts: dict[str, Callable[[], list[Check]]] = {
        "kafka": lambda: [_part("Java runtime", lambda: str(java_binary())), _jars(cache)],
        "redis": lambda: [_part("Redis", lambda: str(server_binary()))],
        "postgres": lambda: [_part("PostgreSQL", _postgres)],
        "clickhouse": lambda: [_part("ClickHouse engine", _chdb)],
    }
    return [check for family, look in parts.items() if family not in families for check in look()]


def _part(name: str, find: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", find())
    except StackError as error:
        found, _, remedy = str(error).partition(": ")
        return Check(name, "fail", found, remedy)


def _postgres() -> str:
    account = unprivileged_account() if os.geteuid() == 0 else None
    return f"{installed(None)}{f', runs as {account}' if account else ''}"


def _chdb() -> str:
    if importlib.util.find_spec("chdb") is None:
        raise StackError("no chdb: install the extra `structured-prompt[local]`")
    return "chdb"


def _pgvector(caller: Mapping[str, str], families: tuple[str, ...]) -> Check:
    """Of the server that would be used; without it everything but the semantic cache works."""
    name, url = "semantic cache", caller.get("DATABASE_URL", "")
    if "postgres" not in families or not url:
        try:
            there = (installed(None) / "share" / "postgresql" / "extension" / "vector.control").exists()
        except StackError:
            there = False
        if there:
            return Check(name, "ok", "pgvector")
        return Check(name, "warn", "off: no pgvector", "install the extra `structured-prompt[local]`")
    try:
        missing = asyncio.run(lacking_at(url))
    except Unavailable as error:
        return Check(name, "warn", str(error), "check DATABASE_URL")
    if missing is None:
        return Check(name, "ok", "pgvector")
    found, _, remedy = missing.partition(": ")
    return Check(name, "warn", f"off: {found}", remedy)


def _jars(cache: Path) -> Check:
    if jars_of(cache).is_dir():
        return Check("Kafka's jars", "ok", str(jars_of(cache)))
    return Check("Kafka's jars", "warn", "not fetched yet", "the first `up` fetches 45 MB from Maven Central")


def _data(data: Path) -> Check:
    if is_running(data):
        return Check("data directory", "ok", f"{data}, in use by a running stack")
    place = next(folder for folder in (data, *data.parents) if folder.exists())
    if not os.access(place, os.W_OK):
        return Check("data directory", "fail", f"{place} cannot be written", "choose another --data")
    account = unprivileged_account() if os.geteuid() == 0 else None
    if account and not reachable(place, account):
        return Check("data directory", "ok", f"{data}; PostgreSQL's data goes to /var/lib/structured-prompt")
    return Check("data directory", "ok", str(data))


def _api_port(data: Path, wished: int | None) -> Check:
    port = wished or 8000
    name = f"port {port}"
    if is_running(data) or is_free(port):
        return Check(name, "ok", "free" if is_free(port) else "ours")
    found = f"port {port} is taken by another program"
    if wished:
        return Check(name, "fail", found, "structured-prompt up, which takes the next free one, or another --port")
    return Check(name, "warn", found, "nothing: `up` takes the next free one; --port chooses")


def _ignored(caller: Mapping[str, str], families: tuple[str, ...]) -> Check:
    ignored = sorted(name for name in caller if is_setting(name) and name not in clean(caller, families))
    if not ignored:
        return Check("environment", "ok", "nothing that `up` ignores")
    return Check("environment", "ok", f"ignored by `up`: {', '.join(ignored)}", "--use-env uses what it names")


def _settings(caller: Mapping[str, str], families: tuple[str, ...]) -> Check:
    lacking = missing(caller, families)
    if lacking:
        return Check("settings", "fail", f"--use-env lacks {', '.join(lacking)}", "set them, see docs/settings.md")
    try:
        settings_of(caller, families)
    except InvalidSettings as error:
        return Check("settings", "fail", str(error), "see docs/settings.md")
    return Check("settings", "ok", f"from the environment: {', '.join(families) or 'nothing'}")


def settings_of(caller: Mapping[str, str], families: Iterable[str]) -> settings.Settings:
    """The settings that `up --use-env FAMILIES` would take from `caller`. Raises InvalidSettings."""
    return settings.load({**PLACEHOLDERS, **clean(caller, families)}, lambda path: Path(path).read_text())


def _models(caller: Mapping[str, str], families: tuple[str, ...]) -> Check:
    if "providers" not in families:
        return Check("models", "ok", "the simulated provider's")
    try:
        found = catalogue(settings_of(caller, families), clean(caller, families))
    except InvalidSettings as error:
        return Check("models", "fail", str(error), "mend it, see docs/routing.md")
    if not found.deployments:
        told = "no model can be called, because no provider's key is set"
        return Check("models", "fail", told, "export OPENAI_API_KEY=..., or another provider's key")
    return Check("models", "ok", f"{len(found.deployments)} can be called")
