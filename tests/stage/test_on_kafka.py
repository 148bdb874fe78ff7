"""The stage on a real broker: killed, rebalanced, stopped, blocked. Each test compares with what was sent."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.telemetry.watchdog import EXIT_CODE
from tests.conftest import Engines

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
PARTITIONS = 6


class Line:
    """An input topic, an output topic, and workers between them."""

    def __init__(self, broker: str, name: str, logs: Path) -> None:
        self.broker, self.source, self.target, self.group = broker, f"{name}in", f"{name}out", f"{name}group"
        self._logs = logs
        self._admin = AdminClient({"bootstrap.servers": broker})
        topics = [NewTopic(self.source, PARTITIONS, 1), NewTopic(self.target, PARTITIONS, 1)]
        for created in self._admin.create_topics(topics).values():
            created.result()
        self._producer = Producer({"bootstrap.servers": broker, "linger.ms": 5})
        self.workers: list[subprocess.Popen[bytes]] = []
        self.sent = 0
        self.seen: Counter[bytes] = Counter()
        self.out: Counter[bytes] = Counter()
        self._consumer = Consumer(
            {"bootstrap.servers": broker, "group.id": f"{name}oracle", "auto.offset.reset": "earliest"}
        )
        self._consumer.assign([TopicPartition(self.target, number, 0) for number in range(PARTITIONS)])

    def start(self, mode: str = "each", slots: int = 200) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ, "BROKER": self.broker, "GROUP": self.group, "SOURCE": self.source,
            "TARGET": self.target, "MODE": mode, "SLOTS": str(slots), "HUNG": str(self._logs / "hung"),
        }  # fmt: skip
        output = (self._logs / f"worker-{len(self.workers)}.out").open("ab")
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.stage.program"], env=environment, stdout=output, stderr=output
        )
        output.close()
        self.workers.append(worker)
        return worker

    def send(self, count: int, task: Callable[[int], dict[str, object]], partition: int = -1) -> None:
        for _ in range(count):
            body = json.dumps({"n": self.sent, **task(self.sent)})
            self._producer.produce(self.source, body, key=str(self.sent), partition=partition)
            self.sent += 1
        self._producer.flush()

    def drain(self, count: int, seconds: float) -> int:
        """Read results until `count` different ones were seen, or the time is over; how many were."""
        deadline = time.monotonic() + seconds
        while len(self.seen) < count and time.monotonic() < deadline:
            for message in self._consumer.consume(1000, 0.2):
                if message.error() is None:
                    self.seen[message.key()] += 1
                    self.out[message.value()] += 1
        return len(self.seen)

    def committed(self) -> dict[int, int]:
        wanted = ConsumerGroupTopicPartitions(
            self.group, [TopicPartition(self.source, number) for number in range(PARTITIONS)]
        )
        found = self._admin.list_consumer_group_offsets([wanted])[self.group].result()
        return {tp.partition: tp.offset for tp in found.topic_partitions}

    def stop(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
        self._consumer.close()


@pytest.fixture
def line(engines: Engines, topic_prefix: str, tmp_path: Path) -> Iterator[Line]:
    line = Line(engines.kafka, topic_prefix, tmp_path)
    yield line
    line.stop()


def mixed(number: int) -> dict[str, object]:
    """Mostly quick, some slow, one in a hundred raises."""
    return {"sleep": random.Random(number).choice([0.01, 0.02, 0.05, 0.5]), "raise": number % 100 == 13}


def under_fire(line: Line, mode: str, kills: int = 3) -> None:
    """Three workers, one of them killed every few seconds while records arrive."""
    for _ in range(3):
        line.start(mode)
    line.send(50, mixed)
    assert line.drain(25, 40) >= 25, "the workers do not work"
    for number in range(kills):
        line.send(250, mixed)
        line.drain(line.sent, 2.0)
        line.workers[number].kill()
        line.start(mode)
    line.send(100, mixed)


def test_S2_S5_three_workers_killed_in_turn_lose_nothing(line: Line) -> None:
    under_fire(line, "each")
    assert line.drain(line.sent, 60) == line.sent


def test_S2_S5_the_micro_batch_form_loses_nothing_either(line: Line) -> None:
    under_fire(line, "batch", kills=2)
    assert line.drain(line.sent, 60) == line.sent


def test_a_plain_faust_agent_loses_what_the_stage_does_not(line: Line) -> None:
    under_fire(line, "plain")
    assert line.drain(line.sent, 25) < line.sent


def test_S2_a_partition_that_leaves_and_comes_back_is_neither_lost_nor_acknowledged_too_far(line: Line) -> None:
    line.start()
    line.send(300, lambda number: {"sleep": 1.0})
    line.drain(1, 30)
    second = line.start()
    line.drain(100, 5)
    third = line.start()
    line.send(300, lambda number: {"sleep": 0.05})
    line.drain(300, 6)
    second.send_signal(signal.SIGTERM)
    third.send_signal(signal.SIGTERM)
    assert line.drain(line.sent, 60) == line.sent
    time.sleep(2.5)
    assert sum(line.committed().values()) == line.sent


def test_S2_nothing_behind_a_slow_head_is_committed_past_it(line: Line) -> None:
    worker = line.start()
    line.send(1, lambda number: {"sleep": 60}, partition=0)
    line.send(200, lambda number: {}, partition=0)
    assert line.drain(200, 40) == 200
    time.sleep(2.5)
    assert line.committed()[0] <= 0
    worker.kill()
    line.start()
    assert line.drain(201, 3) == 200


def test_S3_one_partition_is_held_at_its_cap_while_the_others_go_on(line: Line) -> None:
    line.start(slots=5_000)
    line.send(1, lambda number: {"sleep": 8}, partition=0)
    line.send(4_000, lambda number: {}, partition=0)
    line.send(500, lambda number: {}, partition=1)
    line.drain(line.sent, 7)
    held = line.sent - len(line.seen)
    assert 2_000 < held < 4_001, "the partition was not held at its cap of 1,000 and one fetch"
    assert line.drain(line.sent, 40) == line.sent
    assert max(line.seen.values()) == 1


def test_S4_SIGTERM_finishes_the_calls_in_flight_repeats_none_and_exits_in_time(line: Line) -> None:
    worker = line.start()
    line.send(120, lambda number: {"sleep": 2.0})
    line.drain(1, 30)
    started = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert time.monotonic() - started < 10
    line.start()
    assert line.drain(line.sent, 40) == line.sent
    line.drain(line.sent + 1, 3)
    assert max(line.seen.values()) == 1


def test_S5_what_a_handler_raises_comes_out_as_a_dead_letter(line: Line) -> None:
    line.start()
    line.send(40, lambda number: {"raise": number % 4 == 0})
    assert line.drain(40, 40) == 40
    assert sum(count for value, count in line.out.items() if value.endswith(b"buried")) == 10


def test_S1_records_of_an_aborted_transaction_are_not_seen(line: Line) -> None:
    line.start()
    upstream = Producer({"bootstrap.servers": line.broker, "transactional.id": line.group})
    upstream.init_transactions()
    upstream.begin_transaction()
    upstream.produce(line.source, json.dumps({"n": 999}), key="999")
    upstream.flush()
    upstream.abort_transaction()
    line.send(20, lambda number: {})
    assert line.drain(20, 40) == 20
    line.drain(21, 2)
    assert b"999" not in line.seen


def test_S6_a_call_that_outlives_its_own_time_ends_the_process_and_the_next_one_makes_it(line: Line) -> None:
    worker = line.start()
    line.send(1, lambda number: {"hang": True, "limit": 1.0})
    line.send(50, lambda number: {})
    assert line.drain(50, 30) == 50
    assert worker.wait(60) == EXIT_CODE
    line.start()
    assert line.drain(51, 30) == 51
