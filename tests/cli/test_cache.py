"""`cache invalidate` and `cache stats` on the engines."""

import json
from contextlib import closing
from datetime import UTC, datetime

import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.sink import ClickHouseSink
from connectors.kafka.tail import Tail
from domain.caching.generations import schema_name
from tests.contract.messages import result
from topics.table import CONTROL

pytestmark = pytest.mark.integration


def test_what_is_to_be_forgotten_is_said_on_the_control_topic(cli, stack, engines, topic_prefix, tmp_path):
    schema = tmp_path / "label.json"
    schema.write_text('{"type": "object"}')
    done = cli("cache", "invalidate", "--template", "sentiment@2", "--schema", str(schema), "--tag", "team=support")
    assert done.exit_code == 0, done.output
    tail = Tail({"bootstrap.servers": engines.kafka}, [CONTROL], datetime.fromtimestamp(0, UTC), topic_prefix)
    with closing(tail):
        said = [json.loads(item.value)["data"] for item in tail.until_caught_up()]
    assert {(row["tenant"], row["kind"], row["value"]) for row in said} == {
        ("demo", "template", "sentiment@2"),
        ("demo", "schema", schema_name({"type": "object"})),
        ("demo", "tag", "team=support"),
    }
    assert cli("cache", "invalidate").exit_code == 2
    assert cli("cache", "invalidate", "--key", "short").exit_code == 2


async def write(url: str) -> None:
    now, hit = datetime.now(UTC), {"cached": "exact", "cache": {"age_s": 12.0, "saved_usd": "0.0000094"}}
    async with ClickHouse(url) as clickhouse:
        sink = ClickHouseSink(clickhouse)
        await sink.open()
        rows = [result("r1", tenant="demo", completed_at=now), result("r2", tenant="demo", completed_at=now, **hit)]
        assert await sink.write(rows) == []


def test_what_the_cache_saves_is_a_table_or_json(cli, stack, clickhouse_url):
    import asyncio

    asyncio.run(write(clickhouse_url))
    (row,) = json.loads(cli("cache", "stats", "--json").output)
    assert (row["completed"], row["exact"], row["hit_rate"], row["saved_usd"]) == (2, 1, 0.5, "0.0000094")
    assert "hit_rate" in cli("cache", "stats", "--since", "1h").output
