"""Stages and sinks that nobody runs, or that fall behind: told from the broker's groups, on the real broker."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka.admin import apply
from domain.settings import Settings, load
from ops.local import doctor_line
from ops.local.doctor import PLACEHOLDERS
from tests.conftest import Engines
from topics.table import CALLS, DEAD_LETTERS, REQUESTS, RESULTS, TABLE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
PEPPER = {"STRUCTURED_PROMPT_KEY_PEPPER": "for-this-test-only-0123456789abcdef"}
GROUPS = {"intake": [REQUESTS], "infer": list(CALLS.values()), "dead-letters": [DEAD_LETTERS]}


class Stand:
    """Topics of the test's own, and members of our groups that do what a test lets them do."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self.settings = settings
        self._stack = stack
        self._broker = {"bootstrap.servers": settings.kafka}

    def produce(self, topic: str, count: int, **transaction: str) -> None:
        """Into partition 0."""
        producer = Producer({**self._broker, **transaction})
        if transaction:
            producer.init_transactions()
            producer.begin_transaction()
        for _ in range(count):
            producer.produce(self.settings.topic_prefix + topic, b"{}", partition=0)
        if transaction:
            producer.commit_transaction()
        assert producer.flush(30) == 0

    def commit(self, group: str, topic: str, offset: int) -> None:
        """As a member of the group would, or one that was there and has gone."""
        place = TopicPartition(self.settings.topic_prefix + topic, 0, offset)
        with ExitStack() as stack:
            member = self._members.get(group) or self._consumer(group, stack)
            member.commit(offsets=[place], asynchronous=False)

    _members: dict[str, Consumer]

    async def join(self, *groups: str) -> None:
        """Members that read nothing and commit nothing."""
        self._members = {group: self._consumer(group, self._stack) for group in groups}
        for group, member in self._members.items():
            member.subscribe([self.settings.topic_prefix + topic for topic in GROUPS.get(group, [RESULTS])])
        while not all(member.assignment() for member in self._members.values()):
            for member in self._members.values():
                await asyncio.to_thread(member.poll, 0.1)
                member.pause(member.assignment())

    def _consumer(self, group: str, stack: ExitStack) -> Consumer:
        name = f"{self.settings.topic_prefix}structured-prompt.{group}"
        member = Consumer({**self._broker, "group.id": name, "enable.auto.commit": False})
        stack.callback(member.close)
        return member

    async def told(
        self, pause: Callable[[float], Awaitable[None]] | None = None, where: str = "--use-env"
    ) -> dict[str, tuple[str, str, str]]:
        """(verdict, found, remedy) by name."""

        async def at_once(_seconds: float) -> None: ...

        checks = await doctor_line.ask(self.settings, where, pause or at_once)
        return {check.name: (check.verdict, check.found, check.remedy) for check in checks}


@pytest.fixture
def stand(engines: Engines, topic_prefix: str) -> Iterator[Stand]:
    given = {"KAFKA_BOOTSTRAP_SERVERS": engines.kafka, "STRUCTURED_PROMPT_TOPIC_PREFIX": topic_prefix}
    settings = load(PLACEHOLDERS | PEPPER | given | {"STRUCTURED_PROMPT_REPLICATION_FACTOR": "1"}, str)
    apply(settings, TABLE)
    with ExitStack() as stack:
        made = Stand(settings, stack)
        made._members = {}
        yield made
    client: Any = AdminClient({"bootstrap.servers": engines.kafka})
    for deleted in client.delete_topics([topic_prefix + topic.name for topic in TABLE]).values():
        deleted.result(10)


async def test_a_stage_that_nobody_runs(stand: Stand) -> None:
    stand.produce(REQUESTS, 3)
    await stand.join("infer")
    told = await stand.told()
    assert told == {
        "the stage intake": (
            "fail",
            "nobody runs the stage intake: its consumer group has no member, and 3 events wait",
            "structured-prompt worker --stage intake",
        ),
        "the stage wake": (
            "warn",
            "nobody runs the stage wake: its consumer group has no member, and 0 events wait",
            "structured-prompt worker --stage wake",
        ),
    }
    embedded = await stand.told(where="--data /d")
    assert embedded["the stage intake"][2] == "structured-prompt logs worker-intake-1 --data /d"


async def test_a_sink_that_reads_nothing_any_more(stand: Stand) -> None:
    await stand.join(*GROUPS)
    assert set(await stand.told()) == {"line"}, "a sink that never was is missed by nobody"
    stand.produce(RESULTS, 5)
    stand.commit("sink-clickhouse", RESULTS, 1)
    assert await stand.told() == {
        "the sink clickhouse": (
            "fail",
            "the sink clickhouse is not run, or cannot open its destination: its consumer group has no member, "
            "and 4 events wait",
            "structured-prompt sinks list --use-env, and where it is stopped structured-prompt sink clickhouse",
        )
    }
    embedded = await stand.told(where="--data /d")
    assert embedded["the sink clickhouse"][2] == "structured-prompt sinks list --data /d"


async def test_a_stage_and_a_sink_that_stand(stand: Stand) -> None:
    stand.produce(CALLS["bulk"], 1)
    stand.produce(RESULTS, 2)
    await stand.join(*GROUPS, "sink-postgres", "sink-s3")
    for sink in ("sink-postgres", "sink-s3"):
        stand.commit(sink, RESULTS, 0)
    told = await stand.told()
    # S3's takes a minute for a batch: it may well stand for so long
    assert told.keys() == {"the stage infer", "the sink postgres"}
    verdict, found, remedy = told["the stage infer"]
    assert (verdict, found) == ("warn", "the stage infer has 1 events, and was done with none of them in 20 s")
    assert remedy.startswith("structured-prompt doctor --use-env kafka,postgres,redis,clickhouse,providers")
    assert told["the sink postgres"][2] == "structured-prompt sinks list --use-env"


async def test_a_stage_that_falls_behind_and_one_that_keeps_up(stand: Stand) -> None:
    stand.produce(REQUESTS, 10)
    stand.produce(CALLS["bulk"], 10)
    await stand.join(*GROUPS)
    passed = 0

    async def work(_seconds: float) -> None:
        nonlocal passed
        passed += 1
        stand.produce(REQUESTS, 100)
        stand.commit("intake", REQUESTS, 20 * passed)
        stand.produce(CALLS["bulk"], 100)
        stand.commit("infer", CALLS["bulk"], 100 * passed)

    assert await stand.told(work) == {
        "the stage intake": (
            "warn",
            "the stage intake falls behind: 250 events wait, 300 came and 60 were done in 6 s",
            "structured-prompt worker --stage intake, once more, here or on another machine",
        )
    }


async def test_all_is_well_at_once_when_nothing_waits(stand: Stand) -> None:
    async def never(_seconds: float) -> None:
        raise AssertionError("there is nothing to wait for")

    stand.produce(REQUESTS, 1)
    stand.commit("intake", REQUESTS, 1)
    await stand.join(*GROUPS)
    assert await stand.told(never) == {"line": ("ok", "3 stages and sinks run, and 0 events wait for them", "")}


async def test_the_mark_of_a_transaction_is_no_event_that_waits(stand: Stand) -> None:
    stand.produce(REQUESTS, 1, **{"transactional.id": stand.settings.topic_prefix})
    stand.commit("intake", REQUESTS, 1)
    await stand.join(*GROUPS)
    assert set(await stand.told()) == {"line"}


async def test_a_broker_that_goes_away_is_one_sentence(stand: Stand) -> None:
    stand.settings = stand.settings.model_copy(update={"kafka": "127.0.0.1:9"})
    ((verdict, found, remedy),) = (await stand.told()).values()
    assert (verdict, remedy) == ("warn", "is it running?")
    assert found.startswith("Kafka cannot tell of its consumer groups")
