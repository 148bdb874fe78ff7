"""The client of every line under measurement: publishes requests of 560 bytes and counts the results."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import orjson
import stamina
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

TENANTS = 17
SIZE = 560
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "score": {"type": "integer"}, "summary": {"type": "string"}},
    "required": ["name", "score", "summary"],
    "additionalProperties": False,
}


class Lost(RuntimeError):
    """Not every request came back in time."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is published; its id is its key and comes back as the result's key."""

    key: bytes
    value: bytes


def requests(count: int, name: str, prompts: int | None = None) -> list[Request]:
    """Requests with ids of their own. No prompt was ever asked before, so that no cache can answer it.

    prompts: only so many different ones, in turn, the same whenever the name is the same: for measuring the cache.
    """
    run = uuid4().hex[:8]
    different = prompts or count
    subject = name if prompts else f"{name} {run}"
    return [
        _request(f"{run}-{n:06d}", f"t{n % different % TENANTS}", f"{subject} {n % different}") for n in range(count)
    ]


def of_tenant(count: int, tenant: str, lane: str) -> list[Request]:
    """Requests of one tenant in one lane, none of which was ever asked before."""
    run = uuid4().hex[:8]
    return [_request(f"{run}-{n:06d}", tenant, f"{run} {n}", lane) for n in range(count)]


def _request(id: str, tenant: str, subject: str, lane: str = "standard") -> Request:
    fields = {"id": id, "tenant": tenant, "prompt": f"Document {subject}. Summarise it in one line, please. "}
    if lane != "standard":
        fields["lane"] = lane
    value = orjson.dumps({**fields, "output_schema": SCHEMA})
    filling = "lorem ipsum dolor sit amet " * 20
    fields["prompt"] += filling[: max(0, SIZE - len(value))]
    return Request(id.encode(), orjson.dumps({**fields, "output_schema": SCHEMA}))


class Client:
    """Publishes to one topic and reads another, from now on."""

    def __init__(self, kafka: str, requests: str, results: str) -> None:
        self._topic = requests
        self._producer = Producer(
            {"bootstrap.servers": kafka, "linger.ms": 0, "queue.buffering.max.messages": 500_000, "acks": "all"}
        )
        self._consumer = Consumer({"bootstrap.servers": kafka, "group.id": "client", "enable.auto.commit": False})
        partitions = self._consumer.list_topics(results, timeout=10).topics[results].partitions
        # looked up now: left to the consumer, it may happen after the first result on a busy machine
        self._consumer.assign([TopicPartition(results, number, self._end(results, number)) for number in partitions])

    @stamina.retry(on=KafkaException, timeout=30)  # a partition that was made just now may have no leader yet
    def _end(self, topic: str, partition: int) -> int:
        return self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]

    def run(self, batch: Sequence[Request], seconds: float = 120) -> float:
        """Seconds from the first request to the last result. Raises Lost."""
        started = time.perf_counter()
        self._publish(batch)
        self._read({request.key for request in batch}, seconds)
        return time.perf_counter() - started

    def one(self, request: Request, seconds: float = 10) -> tuple[float, bytes]:
        """Seconds from produce to the result's arrival, and the result. Raises Lost."""
        started = time.perf_counter()
        self._publish([request])
        deadline = started + seconds
        while time.perf_counter() < deadline:
            self._producer.poll(0)
            message = self._consumer.poll(0.05)
            if message is not None and message.error() is None and message.key() == request.key:
                return time.perf_counter() - started, message.value() or b""
        raise Lost(f"no result of {request.key!r} within {seconds} s")

    def paced(
        self, batch: Sequence[Request], per_second: float, topic: str | None = None, seconds: float = 60
    ) -> list[float]:
        """Seconds from each one's time to its result; arrivals at fixed times, whoever is still waited for. Raises
        Lost. Results of others are passed over."""
        due = {request.key: number / per_second for number, request in enumerate(batch)}
        taken, started, sent = [], time.perf_counter(), 0
        deadline = started + len(batch) / per_second + seconds
        while len(taken) < len(batch) and time.perf_counter() < deadline:
            now = time.perf_counter() - started
            while sent < len(batch) and sent / per_second <= now:
                self._publish([batch[sent]], topic)
                sent += 1
            messages = self._consumer.consume(500, 0.002)
            now = time.perf_counter() - started
            taken += [now - due.pop(key) for key in _keys(messages) if key in due]
        if due:
            raise Lost(f"{len(due)} of {len(batch)} paced requests have no result")
        return sorted(taken)

    def publish(self, batch: Sequence[Request]) -> None:
        """Send them, and wait for nobody."""
        self._publish(batch)
        self._producer.flush(30)

    def close(self) -> None:
        self._producer.flush(10)
        del self._producer  # it would look for its broker for ever
        self._consumer.close()

    def _publish(self, batch: Iterable[Request], topic: str | None = None) -> None:
        for number, request in enumerate(batch):
            self._producer.produce(topic or self._topic, request.value, key=request.key)
            if number % 1000 == 999:
                self._producer.poll(0)
        self._producer.poll(0)

    def _read(self, missing: set[bytes], seconds: float) -> None:
        wanted, deadline = len(missing), time.perf_counter() + seconds
        while missing and time.perf_counter() < deadline:
            self._producer.poll(0)
            # not more than are missing: it would wait for them until the time is over
            missing.difference_update(_keys(self._consumer.consume(min(1000, len(missing)), 0.2)))
        if missing:
            raise Lost(f"{len(missing)} of {wanted} requests have no result after {seconds} s")


def _keys(messages: Iterable[Message]) -> list[bytes]:
    return [message.key() or b"" for message in messages if message.error() is None]
