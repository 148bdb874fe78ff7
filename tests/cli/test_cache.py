"""`cache invalidate` and `cache stats` on the engines."""

import asyncio
import json
import os
from contextlib import closing
from datetime import UTC, datetime

import pytest
import redis

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.sink import ClickHouseSink
from connectors.kafka.tail import Tail
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import connect
from domain.caching.generations import schema_name
from domain.ledger.model import Source
from domain.ports import Item
from tests.contract.ledgers import claim
from tests.contract.messages import result
from topics.call import PromptCall
from topics.table import CONTROL, REQUESTS

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
    asyncio.run(write(clickhouse_url))
    (row,) = json.loads(cli("cache", "stats", "--json").output)
    assert (row["completed"], row["exact"], row["hit_rate"], row["saved_usd"]) == (2, 1, 0.5, "0.0000094")
    assert "hit_rate" in cli("cache", "stats", "--since", "1h").output


def published(engines, topic_prefix) -> list[Item]:
    tail = Tail({"bootstrap.servers": engines.kafka}, [REQUESTS], datetime.fromtimestamp(0, UTC), topic_prefix)
    with closing(tail):
        return list(tail.until_caught_up())


def test_a_file_and_the_past_warm_the_cache(cli, stack, engines, topic_prefix, redis_url, tmp_path):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    rows = [
        {"prompt": "Known?", "output_schema": schema, "output": {"a": 1}},
        {"prompt": "Wrong?", "output_schema": schema, "output": {"a": "x"}},
        {"prompt": "Asked?", "tags": {"team": "a"}},
        {"prompt": "Asked?"},
        {"prompt": "Never kept.", "cache": "bypass"},
    ]
    file = tmp_path / "warm.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    told = cli("cache", "warm", str(file), "--dry-run")
    assert "1 would be asked, 1 would be stored" in told.output
    assert published(engines, topic_prefix) == []
    done = cli("cache", "warm", str(file))
    assert done.exit_code == 1
    assert "1 asked, 1 stored" in done.output
    (item,) = published(engines, topic_prefix)
    sent = json.loads(item.value)
    assert (sent["prompt"], sent["lane"], sent["tenant"], sent["metadata"]) == (
        "Asked?",
        "bulk",
        "demo",
        {"warm": True},
    )
    (key,) = redis.Redis.from_url(redis_url).keys("sp:cache:demo:*")
    assert json.loads(redis.Redis.from_url(redis_url).get(key))["output"] == {"a": 1}

    place = Source(topic_prefix + REQUESTS, item.partition, item.offset)
    asyncio.run(claim_as_intake_would(os.environ["DATABASE_URL"], place))
    done = cli("cache", "warm", "--top", "10")
    assert (done.exit_code, "1 asked, 0 stored" in done.output) == (0, True), done.output
    assert [json.loads(one.value)["prompt"] for one in published(engines, topic_prefix)] == ["Asked?"] * 2
    assert cli("cache", "warm").exit_code == 2


async def claim_as_intake_would(database_url: str, place: Source) -> None:
    call = PromptCall("demo", "r1", "bulk", "fast", [], "", "2026-01-01T00:00:00.000Z", cache_key="demo:" + "0" * 64)
    pool = await connect(database_url, 1)
    try:
        await PostgresLedger(pool).claim([claim("r1", tenant="demo", call=call.encode(), source=place)])
    finally:
        await pool.close()
