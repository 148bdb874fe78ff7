"""Which stack a command talks to. Safe by default: an address that is not on this machine needs --use-env."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import typer

from cli._stack import Stack
from cli.local import DEFAULT
from domain.errors import InvalidSettings
from domain.settings import Settings, load

ENGINES = ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "REDIS_URL", "CLICKHOUSE_URL")
DEMO_TENANT = "demo"
_HERE = ("127.", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Target:
    """`tenant` is who requests belong to that name none; None where that must be said."""

    settings: Settings
    environ: Mapping[str, str]
    tenant: str | None

    def tenant_or(self, given: str | None) -> str:
        """The tenant to use. Raises typer.BadParameter when nobody says which."""
        tenant = given or self.tenant
        if tenant is None:
            raise typer.BadParameter("say which tenant: --tenant NAME")
        return tenant


def find(stack: Stack) -> Target:
    """The stack that the options name. Raises InvalidSettings with the remedy where there is none."""
    data, use_env = stack.data, stack.use_env
    if data is not None and use_env:
        raise InvalidSettings("--data and --use-env contradict each other; give one")
    if use_env or (data is None and points_here(os.environ) and not _is_sourced_from(DEFAULT)):
        return from_environment()
    return _from_directory((data or DEFAULT).absolute(), named=data is not None)


def from_environment() -> Target:
    """What the environment says, as `api`, `worker` and `sink` read it. Raises InvalidSettings."""
    tenant = DEMO_TENANT if points_here(os.environ) else None
    environ = dict(os.environ)
    if tenant and "PROVIDER_URL" in environ:  # a sourced DIR/env
        environ.setdefault("STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL", environ["PROVIDER_URL"])
    return Target(load(environ, read_file), environ, tenant)


def points_here(environ: Mapping[str, str]) -> bool:
    """Whether all four engines are named and every one of them is on this machine."""
    return all(_is_here(environ.get(name, "")) for name in ENGINES)


def read_file(path: str) -> str:
    """The content of a secret's file."""
    return Path(path).read_text(encoding="utf-8")


def _is_sourced_from(data: Path) -> bool:
    """Whether the environment is that of the stack in `data`, whose secrets are then known as well."""
    from ops.local.environment import read_env

    try:
        written = read_env(data)
    except OSError:
        return False
    return all(os.environ.get(name) == written.get(name) for name in ENGINES)


def _from_directory(data: Path, named: bool) -> Target:
    from ops.local.environment import read_env

    try:
        environ = read_env(data)
    except FileNotFoundError:
        elsewhere = "" if named else ", name its directory with --data, or take the environment with --use-env"
        raise InvalidSettings(f"no stack runs in {data}: start one with `structured-prompt up`{elsewhere}") from None
    settings = {name: value for name, value in environ.items() if name in ENGINES}
    pepper = data / "secrets" / "key_pepper"
    if pepper.exists():
        settings["STRUCTURED_PROMPT_KEY_PEPPER"] = pepper.read_text(encoding="utf-8").strip()
    if named_file := os.environ.get("STRUCTURED_PROMPT_SOURCES"):
        settings["STRUCTURED_PROMPT_SOURCES"] = named_file
    if "PROVIDER_URL" in environ:
        settings["STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL"] = environ["PROVIDER_URL"]
    if _is_here(settings.get("KAFKA_BOOTSTRAP_SERVERS", "")):
        settings["STRUCTURED_PROMPT_REPLICATION_FACTOR"] = "1"
    return Target(load(settings, read_file), environ, DEMO_TENANT)


def _is_here(address: str) -> bool:
    hosts = [urlsplit(part if "//" in part else f"//{part}").hostname or "" for part in address.split(",")]
    return all(host.startswith(_HERE) for host in hosts)
