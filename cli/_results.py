"""What `results` and `usage` do."""

import asyncio
import csv
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import orjson
import typer

from cli._output import print_json, print_table
from cli._stack import Stack
from cli._target import Target, find
from cli._time import parse_since
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.reader import ClickHouseUsage
from connectors.kafka import security
from connectors.kafka.tail import Tail
from domain.errors import InvalidRequest
from domain.ports import Item
from domain.usage import MEASURES, check_dimensions
from topics.table import RESULTS


def results(stack: Stack, follow: bool, tenant: str | None, since: str) -> None:
    """See cli.data.results. A closed pipe ends it quietly."""
    settings = find(stack).settings
    with closing(Tail(security.librdkafka(settings), [RESULTS], parse_since(since), settings.topic_prefix)) as tail:
        try:
            _print(tail, follow, tenant)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to flush at exit


def _print(tail: Tail, follow: bool, tenant: str | None) -> None:
    for item in _items(tail, follow):
        if tenant is None or orjson.loads(item.value).get("tenant") == tenant:
            sys.stdout.buffer.write(item.value + b"\n")
    sys.stdout.buffer.flush()


def _items(tail: Tail, follow: bool) -> Iterator[Item]:
    yield from tail.until_caught_up()
    while follow:
        sys.stdout.buffer.flush()
        yield from tail.read(0.2)


def usage(stack: Stack, by: Sequence[str], since: str, format: str, tenant: str | None) -> None:
    """See cli.data.usage."""
    try:
        wanted = check_dimensions([name.strip() for name in by if name.strip()])
    except InvalidRequest as error:
        raise typer.BadParameter("; ".join(problem.message for problem in error.problems)) from None
    rows = asyncio.run(_usage(find(stack), wanted, since, tenant))
    columns = (*wanted, *MEASURES)
    if format == "json":
        print_json(rows)
    elif format == "csv":
        writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    else:
        print_table(columns, [[row[name] for name in columns] for row in rows])


async def _usage(target: Target, by: Sequence[str], since: str, tenant: str | None) -> list[dict[str, Any]]:
    clickhouse = ClickHouse(target.settings.clickhouse_url.get_secret_value())
    await clickhouse.open()
    try:
        return await ClickHouseUsage(clickhouse).usage(tenant, by, parse_since(since))
    finally:
        await clickhouse.close()
