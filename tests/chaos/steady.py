"""A steady stream of requests, for as long as one likes: what came out is counted, not kept."""

import json
import secrets
import threading
import time
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.chaos.offsets import Offsets
from tests.chaos.plan import SCHEMA, TENANT
from tests.chaos.running import ReadError
from tests.chaos.witness import PARTITIONS, TOPIC


class Steady:
    """Produces requests with ascending numbers and marks the numbers of the results that it reads."""

    def __init__(self, broker: str) -> None:
        self._prefix = f"s{secrets.token_hex(3)}-"
        self._producer = Producer({"bootstrap.servers": broker, "acks": "all", "linger.ms": 20, "log_level": 0})
        self._consumer = Consumer({"bootstrap.servers": broker, "group.id": "soak", "enable.auto.commit": False})
        ends = Offsets(broker).ends(TOPIC, PARTITIONS)
        self._consumer.assign([TopicPartition(TOPIC, n, end) for n, end in ends.items()])
        self._answered = bytearray()
        self.sent = self.answered = 0
        self._error: BaseException | None = None
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, count: int, rate: float | None = None) -> None:
        """So many more requests, as fast as possible or at `rate` a second."""
        begun, before = time.monotonic(), self.sent
        for n in range(count):
            if rate is not None and (wait := begun + n / rate - time.monotonic()) > 0:
                self._producer.poll(0)
                time.sleep(wait)
            number = before + n
            body = {"id": f"{self._prefix}{number}", "tenant": TENANT, "output_schema": SCHEMA,
                    "prompt": f"How does letter {number} of {self._prefix} feel?"}  # fmt: skip
            self._produce(json.dumps(body).encode())
            self.sent = number + 1
        if self._producer.flush(60):
            raise ReadError("the broker did not acknowledge what was sent within 60 s")

    def wait_answered(self, seconds: float) -> int:
        """How many are still without an answer when all have one, or the time is over."""
        deadline = time.monotonic() + seconds
        while self.answered < self.sent and time.monotonic() < deadline:
            self._check()
            time.sleep(0.05)
        return self.sent - self.answered

    def close(self) -> None:
        self._ended.set()
        self._reader.join(10)
        self._consumer.close()

    def _produce(self, value: bytes) -> None:
        while True:
            try:
                return self._producer.produce("prompt.requests", value)
            except BufferError:
                self._producer.poll(0.1)

    def _check(self) -> None:
        if self._error is not None:
            raise ReadError(f"the reader of {TOPIC} ended: {self._error!r}") from self._error

    def _read(self) -> None:
        mark: Final = f'"id":"{self._prefix}'.encode()
        try:
            while not self._ended.is_set():
                for message in self._consumer.consume(2000, 0.2):
                    value = message.value() or b""
                    if message.error() is None and (at := value.find(mark)) >= 0:
                        self._note(int(value[at + len(mark) : value.index(b'"', at + len(mark))]))
        except BaseException as error:  # noqa: BLE001 - told by `_check`
            self._error = error

    def _note(self, number: int) -> None:
        if number >= len(self._answered):
            self._answered.extend(bytes(number + 100_000 - len(self._answered)))
        if not self._answered[number]:
            self._answered[number] = 1
            self.answered += 1
