"""The whole stack, in the order it starts: engines and provider, migrations and topics, tenant and key, our processes.

Each of our processes is the program that production runs, with the same settings in its environment.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import probes
from .engines import plan_engines
from .environment import NEEDED, clean, missing
from .front import plan_front
from .ports import Ports
from .program import Command, Group, Probe, Program, StackError
from .secret import kept_secret
from .sources import source_settings

TENANT = "demo"
STAGES = ("intake", "infer", "wake")
SINKS = ("clickhouse", "destinations")
DRAIN_SECONDS = 25  # of a worker; `drain_s` in domain/settings.py


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `up` was asked for. `caller` is the caller's environment; no `port` means the default or the next one.

    With a `domain`, Caddy stands in front of the API; with `exports`, the caller's bucket for them is used.
    """

    data: Path
    cache: Path
    caller: Mapping[str, str]
    port: int | None = None
    workers: int = 1
    use_env: tuple[str, ...] = ()
    domain: str | None = None
    sources: Path | None = None
    exports: bool = False

    @property
    def families(self) -> tuple[str, ...]:
        """Of whose settings the caller's are taken (environment.py)."""
        return (*self.use_env, "exports") if self.exports else self.use_env


class Stack:
    """The groups to start, and the addresses to tell."""

    def __init__(self, wishes: Wishes) -> None:
        """Raises StackError when a wished port is taken, `use_env` lacks a variable or the file of sources is wrong."""
        _demand(wishes)
        self._wishes = wishes
        self._ports = Ports(wishes.data / "ports.json")
        self._base = clean(wishes.caller)
        self._api_port = self._ports.asked("api", wishes.port, 8000)
        self._engines = plan_engines(wishes.data, self._ports, self._base, wishes.cache, wishes.use_env)
        self._provider = None if "providers" in wishes.use_env else self._plan_provider()
        self._sources = source_settings(wishes.sources, wishes.caller)
        self._settings = self._plan_settings()
        self._front = (
            plan_front(wishes.data, self._ports, self._base, wishes.domain, self._api_port) if wishes.domain else None
        )

    @property
    def url(self) -> str:
        """Where clients ask: at Caddy where one stands in front."""
        return self._front.url if self._front else self._own_url

    @property
    def _own_url(self) -> str:
        return f"http://127.0.0.1:{self._api_port}"

    def groups(self) -> list[Group]:
        return [
            Group(engines=tuple(self._engines), programs=(self._provider,) if self._provider else ()),
            Group(commands=(self._command("migrate", "migrate"), self._command("topics", "topics", "apply"))),
            *self._demo_account(),
            Group(programs=self._own_programs()),
            *([Group(programs=(self._front.program,))] if self._front else []),
        ]

    def env(self) -> dict[str, str]:
        """What `DIR/env` says, once everything is up."""
        addresses = {name: self._settings[name] for name in NEEDED.values() if name in self._settings}
        provider = {"PROVIDER_URL": f"http://127.0.0.1:{self._provider.port}/v1"} if self._provider else {}
        return {**addresses, "API_URL": self._own_url, "API_KEY": self._api_key(), **provider, **self._door()}

    def _door(self) -> dict[str, str]:
        """The address for strangers, and whom to trust for it."""
        if self._front is None:
            return {}
        authority = {"PUBLIC_CA": str(self._front.authority)} if self._front.authority else {}
        return {"PUBLIC_URL": self._front.url, **authority}

    def _plan_provider(self) -> Program:
        port = self._ports.of("provider")
        return Program(
            name="provider",
            command=(sys.executable, "-m", "ops.local.provider", "--host", probes.HOST, "--port", str(port)),
            environment=self._base,
            ready=probes.http(port, "/healthz"),
            port=port,
        )

    def _plan_settings(self) -> dict[str, str]:
        """The environment of our own processes: what a process needs, what was opted in, the embedded addresses."""
        secrets = self._wishes.data / "secrets"
        pepper = kept_secret(secrets / "key_pepper")
        settings = {"STRUCTURED_PROMPT_KEY_PEPPER": pepper, "STRUCTURED_PROMPT_OPERATORS": TENANT}
        # whoever tries webhooks on a laptop receives them there
        settings["STRUCTURED_PROMPT_WEBHOOK_ALLOW"] = "127.0.0.0/8, ::1/128"
        if "kafka" not in self._wishes.use_env:
            settings["STRUCTURED_PROMPT_REPLICATION_FACTOR"] = "1"
        if self._wishes.domain:
            settings["STRUCTURED_PROMPT_TRUSTED_PROXIES"] = f"{probes.HOST}/32"
        if self._provider:
            settings["STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL"] = f"http://{probes.HOST}:{self._provider.port}/v1"
        embedded = {engine.variable: engine.url for engine in self._engines}
        return settings | clean(self._wishes.caller, self._wishes.families) | embedded | self._sources

    def _demo_account(self) -> list[Group]:
        """Tenant and key, once in the life of the database."""
        if self._key_file.exists() and self._key_file.stat().st_size:
            return []
        create_key = self._command("key", "keys", "create", "--tenant", TENANT, "--name", "embedded", "--json")
        return [
            Group(commands=(self._command("tenant", "tenants", "create", TENANT, "--if-missing"),)),
            Group(commands=(create_key,)),
        ]

    def _own_programs(self) -> tuple[Program, ...]:
        numbers = range(1, self._wishes.workers + 1)
        workers = [
            self._own(f"worker-{stage}-{number}", ("worker", "--stage", stage))
            for stage in STAGES
            for number in numbers
        ]
        names = (*SINKS, "exports") if self._wishes.exports else SINKS
        sinks = [self._own(f"sink-{name}", ("sink", name)) for name in names]
        return (self._own_api(), *workers, *sinks, *self._own_sources())

    def _own_sources(self) -> list[Program]:
        """Alive is enough: a source waits for a topic that can only be made once the broker is up."""
        alive = probes.http(self._ports.of("sources-metrics"), "/healthz")
        return [self._own("sources", ("sources",), ready=alive)] if self._sources else []

    def _own_api(self) -> Program:
        own = {"STRUCTURED_PROMPT_API_HOST": probes.HOST, "STRUCTURED_PROMPT_API_PORT": str(self._api_port)}
        return self._own("api-1", ("api",), own, ready=probes.http(self._api_port, "/healthz"))

    def _own(
        self, name: str, command: tuple[str, ...], own: Mapping[str, str] | None = None, ready: Probe | None = None
    ) -> Program:
        port = self._ports.of(f"{name}-metrics")
        settings = {"STRUCTURED_PROMPT_METRICS_HOST": probes.HOST, "STRUCTURED_PROMPT_METRICS_PORT": str(port)}
        if "kafka" not in self._wishes.use_env:
            # a member that is known by name gets its partitions back at once after a restart; on brokers that others
            # use as well, two of the same name would throw each other out
            settings["STRUCTURED_PROMPT_WORKER_NAME"] = name
        return Program(
            name=name,
            command=(*CONSOLE, *command),
            environment={**self._settings, **settings, **(own or {})},
            ready=ready or probes.http(port, "/readyz"),
            start_seconds=60,
            stop_seconds=DRAIN_SECONDS + 5,
            port=self._api_port if own else None,
            metrics_port=port,
        )

    def _command(self, name: str, *words: str) -> Command:
        output = self._key_file if name == "key" else None
        return Command(name=name, command=(*CONSOLE, *words, "--use-env"), environment=self._settings, output=output)

    @property
    def _key_file(self) -> Path:
        """The key belongs to the database that knows it."""
        external = self._settings.get("DATABASE_URL", "") if "postgres" in self._wishes.use_env else ""
        suffix = "-" + hashlib.sha256(external.encode()).hexdigest()[:8] if external else ""
        return self._wishes.data / "secrets" / f"api_key{suffix}.json"

    def _api_key(self) -> str:
        return str(json.loads(self._key_file.read_text())["key"])


def _demand(wishes: Wishes) -> None:
    """Raises StackError where the caller's environment lacks what was asked of it."""
    lacking = missing(wishes.caller, wishes.use_env)
    if lacking:
        raise StackError(f"--use-env asks for {', '.join(lacking)}: set it, or leave its word out of --use-env")
    if wishes.exports and (bucket := missing(wishes.caller, ("exports",))):
        raise StackError(f"--exports asks for {bucket[0]}: set it with the store's keys (docs/exports.md)")


CONSOLE = (sys.executable, "-m", "cli.main")
