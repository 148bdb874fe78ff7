"""What `doctor` looks at: this machine, the stack in a directory, and the engines that would be used."""

import asyncio
import os
from pathlib import Path

from cli._stack import Stack
from cli._target import find
from domain.errors import InvalidSettings
from domain.settings import Settings
from ops.local.check import Check
from ops.local.doctor import examine, settings_of
from ops.local.doctor_engines import ask
from ops.local.doctor_line import ask as ask_line
from ops.local.doctor_providers import ask as ask_providers
from ops.local.doctor_stack import look
from ops.local.environment import clean, missing
from ops.local.instance import is_running, read_state
from ops.local.kafka_jars import default_cache

ENGINES = ("kafka", "postgres", "redis", "clickhouse")


def checks_of(data: Path, families: tuple[str, ...], port: int | None) -> list[Check]:
    """Of the machine always; of engines that are named, or that run in `data`."""
    checks = examine(data, default_cache(), os.environ, families, port)
    return checks + asyncio.run(_asked(data, families))


async def _asked(data: Path, families: tuple[str, ...]) -> list[Check]:
    stack = [] if families and not is_running(data) else await look(data)
    try:
        settings, engines, where = _target(data, families)
    except InvalidSettings:  # the settings' own check says why
        return stack
    told = {check.name for check in stack}
    asked = await ask(settings, [engine for engine in engines if engine not in told], where)
    if _well("kafka", asked) and "stack" not in {check.name for check in stack if check.verdict == "fail"}:
        asked += await ask_line(settings, where)
    providers = await ask_providers(settings, clean(os.environ, families)) if "providers" in families else []
    return stack + asked + providers


def _well(name: str, checks: list[Check]) -> bool:
    return any(check.name == name and check.verdict != "fail" for check in checks)


def _target(data: Path, families: tuple[str, ...]) -> tuple[Settings, list[str], str]:
    """Whom to ask, for what, and how commands that mend name it. Raises InvalidSettings where nobody can be asked."""
    state = read_state(data)
    if not families and state and is_running(data):
        return find(Stack(data=data)).settings, list(ENGINES), f"--data {data}"
    if missing(os.environ, families):
        raise InvalidSettings("the settings are not whole")
    wanted = [name for name in ENGINES if name in families]
    return settings_of(os.environ, families), wanted, "--use-env"
