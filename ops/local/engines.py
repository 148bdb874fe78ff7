"""The engines without our own processes: `python -m ops.local.engines --data DIR`, for development and for tests.

Runs in the foreground until SIGINT or SIGTERM; `DIR/env` holds the addresses once they serve.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Container, Mapping
from pathlib import Path

from .clickhouse_engine import ClickHouse
from .environment import clean, write_env
from .instance import Instance
from .kafka import Kafka
from .kafka_jars import default_cache
from .ports import Ports
from .postgres import Postgres
from .program import Engine, Group, StackError
from .redis import Redis
from .supervisor import serve


def plan_engines(
    data: Path, ports: Ports, environment: Mapping[str, str], cache: Path, leave_out: Container[str] = ()
) -> list[Engine]:
    """The engines of a data directory, less those whose name is in `leave_out`."""
    makers: dict[str, Callable[[], Engine]] = {
        "kafka": lambda: Kafka(data, (ports.of("kafka"), ports.of("kafka-controller")), environment, cache),
        "postgres": lambda: Postgres(data, ports.of("postgres"), environment),
        "redis": lambda: Redis(data, ports.of("redis"), environment),
        "clickhouse": lambda: ClickHouse(data, ports.of("clickhouse"), environment),
    }
    return [make() for name, make in makers.items() if name not in leave_out]


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data.absolute()
    instance = Instance(data)
    try:
        instance.open()
        engines = plan_engines(data, Ports(data / "ports.json"), clean(os.environ), default_cache())
        addresses = {engine.variable: engine.url for engine in engines}
        asyncio.run(serve(instance, [Group(engines=tuple(engines))], say, lambda: write_env(data, addresses)))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        instance.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
