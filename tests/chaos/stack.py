"""The product behind the fault proxy: `python -m tests.chaos.stack --data DIR`, in the foreground until SIGTERM.

The embedded stack as `structured-prompt up` starts it, with the programs that production runs; only the addresses it is
given are the proxy's. `DIR/env` holds those, the engines' own for an oracle that no fault may reach (DIRECT_…), the
proxy's control port (FAULTS_PORT) and the URLs of all APIs, separated by commas (API_URLS).
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from ops.local import probes
from ops.local.engines import say
from ops.local.environment import write_env
from ops.local.instance import Instance
from ops.local.kafka import Kafka
from ops.local.kafka_jars import default_cache
from ops.local.ports import Ports
from ops.local.program import Command, Engine, Group, Probe, Program, StackError
from ops.local.stack import STAGES, Stack, Wishes
from ops.local.supervisor import serve

PROXIED = ("kafka", "postgres", "redis", "clickhouse", "provider")


@dataclass(frozen=True, slots=True)
class Shape:
    """How many processes of each kind, what their settings say, and which variant of the wiring the workers are.

    `versions` is the folder that says which version each process is (tests/chaos/versioned.py).
    """

    workers: Mapping[str, int] = field(default_factory=lambda: {"intake": 3, "infer": 3, "wake": 1})
    apis: int = 2
    settings: Mapping[str, str] = field(default_factory=dict)
    variant: str | None = None
    versions: Path | None = None


class Behind:
    """An engine whose clients are told the port of the proxy."""

    def __init__(self, engine: Engine, port: int) -> None:
        self.name, self.variable = engine.name, engine.variable
        self.direct = engine.url
        self._engine, self._port = engine, port

    @property
    def url(self) -> str:
        return at_port(self.direct, self._port)

    def prepare(self) -> None:
        self._engine.prepare()

    def program(self) -> Program:
        return self._engine.program()


class ProxiedStack(Stack):
    """The stack of `up`, with the fault proxy before everything that our processes connect to."""

    def __init__(self, wishes: Wishes, shape: Shape) -> None:
        super().__init__(wishes)
        self._shape = shape
        self._control = self._ports.of("proxy-control")
        self._behind = {name: self._ports.of(name) for name in PROXIED}
        fronts = {name: self._ports.of(f"proxy-{name}") for name in PROXIED}
        self._fronts = fronts
        self._api_ports = [self._api_port, *(self._ports.of(f"api-{n}") for n in range(2, shape.apis + 1))]
        brokers = (self._behind["kafka"], self._ports.of("kafka-controller"))
        kafka = Kafka(wishes.data, brokers, self._base, wishes.cache, fronts["kafka"])
        self._others = [Behind(engine, fronts[engine.name]) for engine in self._engines if engine.name != "kafka"]
        self._engines = [kafka, *self._others]
        self._settings = self._plan_settings() | dict(shape.settings)
        self._settings["STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL"] = f"http://{probes.HOST}:{fronts['provider']}/v1"

    def groups(self) -> list[Group]:
        first, *others = super().groups()
        return [replace(first, programs=(*first.programs, self._proxy())), *others]

    def env(self) -> dict[str, str]:
        direct = {f"DIRECT_{engine.variable}": engine.direct for engine in self._others}
        apis = [f"http://{probes.HOST}:{port}" for port in self._api_ports]
        return {**super().env(), **direct, "FAULTS_PORT": str(self._control), "API_URLS": ",".join(apis)}

    def _proxy(self) -> Program:
        routes = [f"{name}={self._fronts[name]}:{self._behind[name]}" for name in PROXIED]
        command = (sys.executable, "-m", "tests.chaos.proxy", "--control", str(self._control), *routes)
        return Program(name="proxy", command=command, environment=self._base, ready=_answers(self._control))

    def _own_programs(self) -> tuple[Program, ...]:
        names = [(stage, n) for stage in STAGES for n in range(1, self._shape.workers.get(stage, 0) + 1)]
        workers = [self._worker(self._own(f"worker-{s}-{n}", ("worker", "--stage", s))) for s, n in names]
        apis = [self._one_api(number, port) for number, port in enumerate(self._api_ports, 1)]
        return (*apis, *workers, self._own("sink-clickhouse", ("sink", "clickhouse")))

    def _own(
        self, name: str, command: tuple[str, ...], own: Mapping[str, str] | None = None, ready: Probe | None = None
    ) -> Program:
        program = super()._own(name, command, own, ready)
        return replace(program, command=self._in_version(name, command)) if self._shape.versions else program

    def _command(self, name: str, *words: str) -> Command:
        command = super()._command(name, *words)
        return (
            replace(command, command=self._in_version(name, (*words, "--use-env"))) if self._shape.versions else command
        )

    def _in_version(self, name: str, words: tuple[str, ...]) -> tuple[str, ...]:
        return (sys.executable, "-m", "tests.chaos.versioned", str(self._shape.versions), name, *words)

    def _worker(self, program: Program) -> Program:
        """The production command, or a broken variant of it: a negative control."""
        if self._shape.variant is None:
            return program
        words = program.command[program.command.index("cli.main") + 1 :]
        variant = (sys.executable, "-m", "tests.chaos.variants", self._shape.variant, *words)
        return replace(program, command=variant)

    def _one_api(self, number: int, port: int) -> Program:
        own = {"STRUCTURED_PROMPT_API_HOST": probes.HOST, "STRUCTURED_PROMPT_API_PORT": str(port)}
        program = self._own(f"api-{number}", ("api",), own, ready=probes.http(port, "/healthz"))
        return replace(program, port=port)


def _answers(control: int) -> Probe:
    async def probe() -> bool:
        return await probes.exchange(control, b"ping\n", 3) == b"ok\n"

    return probe


def at_port(url: str, port: int) -> str:
    """`url` with another port."""
    parts = urlsplit(url)
    account, _, _ = parts.netloc.rpartition("@")
    host = f"{parts.hostname}:{port}"
    return urlunsplit(parts._replace(netloc=f"{account}@{host}" if account else host))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workers", default="3,3,1", help="of intake, infer, wake")
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--variant", help="a broken wiring of the workers, out of tests/chaos/variants.py")
    parser.add_argument("--versions", type=Path, help="a folder that says which version each process is")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of our processes")
    arguments = parser.parse_args()
    data: Path = arguments.data.absolute()
    workers = dict(zip(STAGES, map(int, arguments.workers.split(",")), strict=True))
    settings = dict(one.split("=", 1) for one in arguments.set)
    instance = Instance(data)
    try:
        instance.open()
        shape = Shape(workers, arguments.apis, settings, arguments.variant, arguments.versions)
        port = Ports(data / "ports.json").of("api")  # not the default one: somebody may be using it
        stack = ProxiedStack(Wishes(data, default_cache(), os.environ, port), shape)
        instance.state.url = stack.url
        asyncio.run(serve(instance, stack.groups(), say, lambda: write_env(data, stack.env())))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        instance.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
