"""Reads prompt.results while everything breaks: whatever was produced once can never be unseen."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from tests.chaos.offsets import Offsets
from tests.chaos.running import ReadError

TOPIC: Final = "prompt.results"
PARTITIONS: Final = 12


@dataclass(slots=True)
class Produced:
    """What came out for one id, in the order it was read, and when the first of it was read (monotonic seconds)."""

    values: list[bytes] = field(default_factory=list)
    at: float = 0.0

    @property
    def distinct(self) -> set[bytes]:
        return set(self.values)

    @property
    def statuses(self) -> set[str]:
        return {json.loads(value)["status"] for value in self.distinct}


class Witness:
    """Reads from the ends that the topic had when it was made. `prefix` is what the ids of this run begin with."""

    def __init__(self, broker: str, prefix: str, clock: "Clock") -> None:
        self._prefix = f"{prefix}-"
        self._clock = clock
        self.produced: dict[str, Produced] = defaultdict(Produced)
        self.arrivals: list[float] = []
        self._error: BaseException | None = None
        self._offsets = Offsets(broker)
        self._consumer = Consumer({
            "bootstrap.servers": broker, "group.id": "chaos-witness", "enable.auto.commit": False,
            "reconnect.backoff.max.ms": 1000, "log_level": 0, "isolation.level": "read_committed",
        })  # fmt: skip
        self._read_to = self._offsets.ends(TOPIC, PARTITIONS)
        self._consumer.assign([TopicPartition(TOPIC, n, offset) for n, offset in self._read_to.items()])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
        self._thread.start()

    def caught_up(self) -> bool:
        """Whether everything that was produced before this question has been read. Raises ReadError."""
        self.check()
        return all(self._read_to[n] >= end for n, end in self._offsets.ends(TOPIC, PARTITIONS).items())

    def check(self) -> None:
        """Raises ReadError when the reading itself failed: what was not seen proves nothing."""
        if self._error is not None:
            raise ReadError(f"the reader of {TOPIC} ended: {self._error!r}") from self._error

    @property
    def now(self) -> float:
        """By the clock of the arrivals."""
        return self._clock()

    def silence(self, begun: float, ended: float) -> float:
        """The longest time between these moments without a first result of anything."""
        return longest_gap(list(self.arrivals), begun, ended)

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)
        self._consumer.close()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                for message in self._consumer.consume(500, 0.2):
                    if message.error() is None:
                        self._note(message.value() or b"", message.partition() or 0, message.offset() or 0)
        except BaseException as error:  # noqa: BLE001 - told by `check`
            self._error = error

    def _note(self, value: bytes, partition: int, offset: int) -> None:
        self._read_to[partition] = offset + 1
        id = str(json.loads(value)["id"])
        if not id.startswith(self._prefix):
            return
        found = self.produced[id]
        if not found.values:
            found.at = self._clock()
            self.arrivals.append(found.at)
        found.values.append(value)


def longest_gap(moments: Sequence[float], begun: float, ended: float) -> float:
    within = [begun, *(at for at in moments if begun < at < ended), ended]
    return max(later - earlier for earlier, later in pairwise(within))


class Clock:
    """Monotonic seconds since `start`."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def start(self) -> None:
        self._start = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._start
