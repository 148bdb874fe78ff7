"""The engines without our own processes: `python -m ops.local.engines --data DIR`, for development and for tests.

Runs in the foreground until SIGINT or SIGTERM; `DIR/env` holds the addresses once they serve.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .clickhouse_engine import ClickHouse
from .environment import clean, export_lines
from .instance import Instance
from .kafka import Kafka
from .kafka_jars import default_cache
from .ports import Ports
from .postgres import Postgres
from .program import Engine, Group, StackError
from .redis import Redis
from .supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Engines:
    """The four engines of a data directory, with their addresses."""

    kafka: Kafka
    postgres: Postgres
    redis: Redis
    clickhouse: ClickHouse

    @classmethod
    def plan(cls, data: Path, ports: Ports, environment: Mapping[str, str], cache: Path) -> "Engines":
        return cls(
            Kafka(data, (ports.of("kafka"), ports.of("kafka-controller")), environment, cache),
            Postgres(data, ports.of("postgres"), environment),
            Redis(data, ports.of("redis"), environment),
            ClickHouse(data, ports.of("clickhouse"), environment),
        )

    def all(self) -> tuple[Engine, ...]:
        return (self.kafka, self.postgres, self.redis, self.clickhouse)

    def addresses(self) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.url,
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "CLICKHOUSE_URL": self.clickhouse.url,
        }


async def run(instance: Instance, groups: Sequence[Group], addresses: Mapping[str, str]) -> None:
    """Start, write `DIR/env`, stay until a signal comes, stop. Raises StackError when something does not start."""
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    supervisor = Supervisor(instance, lambda line: print(line, flush=True))
    starting = asyncio.create_task(supervisor.start(groups))
    stopping = asyncio.create_task(asked_to_stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            write_env(instance.data, addresses)
            instance.state.phase = "ready"
            instance.save()
            print(f"ready {instance.data / 'env'}", flush=True)
            await stopping
    finally:
        starting.cancel()
        stopping.cancel()
        await supervisor.stop()


def write_env(data: Path, values: Mapping[str, str]) -> None:
    """`DIR/env`, readable by its owner only: it holds passwords."""
    path = data / "env"
    path.touch(mode=0o600)
    path.write_text(export_lines(values))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data.absolute()
    instance = Instance(data)
    try:
        instance.open()
        engines = Engines.plan(data, Ports(data / "ports.json"), clean(os.environ), default_cache())
        asyncio.run(run(instance, [Group(engines=engines.all())], engines.addresses()))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        instance.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
