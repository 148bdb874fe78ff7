"""The runner of a sink from Kafka into a warehouse, as settings make it; the warehouse is a fake (tests/fakes)."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest
from confluent_kafka.admin import AdminClient

from agents.deliver.condition import Condition
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from connectors.kafka import admin, security
from connectors.kafka.producer import KafkaProducer
from connectors.sinks import sink_parts
from domain.errors import MissingExtra
from domain.ports import Record
from domain.settings import Settings, load
from tests.conftest import Engines
from tests.contract.messages import call, result
from tests.contract.warehouses import DATASET
from tests.fakes.bigquery import BigQuery, Gone, bigquery
from topics.table import DEAD_LETTERS, EVENTS, RESULTS, TABLE, USAGE

pytestmark = pytest.mark.integration
TOPICS = [topic for topic in TABLE if topic.name in (RESULTS, USAGE, EVENTS, DEAD_LETTERS)]


@pytest.fixture
async def settings(engines: Engines, database_url: str, topic_prefix: str) -> AsyncIterator[Settings]:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": engines.kafka,
        "DATABASE_URL": database_url,
        "REDIS_URL": "redis://127.0.0.1:1",
        "CLICKHOUSE_URL": "http://127.0.0.1:1",
        "STRUCTURED_PROMPT_TOPIC_PREFIX": topic_prefix,
        "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
        "STRUCTURED_PROMPT_SINK_ROWS": "20",
        "STRUCTURED_PROMPT_SINK_INTERVAL_S": "0.2",
    }
    made = load(environ, str)
    await asyncio.to_thread(admin.apply, made, TOPICS)
    yield made
    client = AdminClient(security.librdkafka(made))
    for deleted in client.delete_topics([topic_prefix + topic.name for topic in TOPICS]).values():
        deleted.result(10)


async def publish(settings: Settings) -> None:
    """90 results, one poison among them, and 30 calls."""
    producer = KafkaProducer({"bootstrap.servers": settings.kafka}, prefix=settings.topic_prefix)
    await producer.send([Record(RESULTS, result(f"r{n}").value, b"%d" % n) for n in range(90)])
    await producer.send([Record(RESULTS, b"poison", b"p")])
    await producer.send([Record(USAGE, call(f"r{n}").value, b"%d" % n) for n in range(30)])
    await producer.close()


async def carried(settings: Settings, name: str, ended: asyncio.Event) -> None:
    """Processes one after the other: each ends in the middle of whatever it does, the last one when `ended` is set."""
    for seconds in (1.0, 0.3, 0.6, 60.0):
        parts = sink_parts(settings, name)
        policy = Policy(name, first_wait_s=0.02, ways=parts.ways, ordered=parts.ordered)
        work = deliver(parts.source, parts.sink, parts.producer, policy, parts.metrics, Condition(name))
        running = asyncio.ensure_future(work)
        ending = asyncio.ensure_future(ended.wait())
        await asyncio.wait([running, ending], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (running, ending):
            task.cancel()
        await asyncio.gather(running, ending, return_exceptions=True)
        await parts.producer.close()


async def test_bigquery_holds_each_record_once_however_processes_end(settings: Settings) -> None:
    await publish(settings)
    ended = asyncio.Event()
    async with bigquery(DATASET) as fake:
        lost = 0

        def meet(name: str) -> None:
            nonlocal lost
            if name == "appended":
                lost += 1
                if all_there(fake):
                    ended.set()
                if lost % 4 == 1:
                    raise Gone

        fake.meet = meet
        given = {
            "sink_bigquery_dataset": DATASET,
            "sink_bigquery_endpoint": fake.rest,
            "sink_bigquery_write_endpoint": fake.write,
        }
        async with asyncio.timeout(90):
            await carried(settings.model_copy(update=given), "bigquery", ended)
        results, calls = (sorted(row["id"] for row in fake.rows(f"{DATASET}.{name}")) for name in ("results", "calls"))
        outputs = [row.get("output") for row in fake.rows(f"{DATASET}.results")]
    assert results == sorted(f"r{n}" for n in range(90))
    assert calls == sorted(f"r{n}" for n in range(30))
    assert outputs == [None] * 90  # no tenant has agreed that its answers leave


def all_there(fake: BigQuery) -> bool:
    return len(fake.rows(f"{DATASET}.results")) >= 90 and len(fake.rows(f"{DATASET}.calls")) >= 30


@pytest.mark.parametrize(
    ("name", "given", "gone"),
    [("bigquery", {"sink_bigquery_dataset": DATASET}, "google"),
     ("sheets", {"sink_sheets_spreadsheet": "1"}, "google"),
     ("snowflake", {"sink_snowflake_account": "a", "sink_snowflake_user": "u", "sink_snowflake_database": "d"},
      "snowflake")],
)  # fmt: skip
def test_without_its_extra_a_sink_says_which(
    monkeypatch: pytest.MonkeyPatch, name: str, given: dict[str, str], gone: str
) -> None:
    """As where it was never installed: nothing of the vendor's can be imported, and ours was not yet."""
    for module in [one for one in sys.modules if one.split(".")[0] == gone or one.startswith(f"connectors.{gone}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, gone, None)
    engines = {
        "kafka": "h:1",
        "database_url": "postgresql://h/d",
        "redis_url": "redis://h",
        "clickhouse_url": "http://h",
    }
    with pytest.raises(MissingExtra, match=rf"structured-prompt\[{name}\]"):
        sink_parts(Settings(**{**engines, **given}), name)
