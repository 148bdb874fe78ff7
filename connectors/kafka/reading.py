"""What the batch consumer asks of librdkafka, and how its messages and errors become ours."""

import logging
import marshal
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, overload

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.kafka.errors import translate
from connectors.kafka.lookup import fault_of, is_missing
from domain.errors import Conflict, Unavailable
from domain.ports import Item
from domain.sinks.model import Place
from topics.table import TABLE

PATIENCE_S = 5.0
"""For the answer to a question that is asked again in a moment."""
OURS = frozenset(topic.name for topic in TABLE)
QUIET = {"log_level": 0}
"""Brokers that are away are an error of ours, in one sentence, and not a line for each attempt."""
log = logging.getLogger(__name__)
REBALANCING = {
    # a rebalance is under way or over: the records of partitions that left come again, to their new owner
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._STATE,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError._NO_OFFSET,
}


GROUPLESS = KafkaError.GROUP_AUTHORIZATION_FAILED
"""librdkafka asks for the coordinator of a group also where only places are assigned, and goes on without it."""


def consume(client: Consumer, rows: int, wait: float, *, grouped: bool = True) -> list[Message]:
    """Up to `rows` good messages within `wait` seconds. Raises Conflict when this member was fenced.

    grouped: whether the client works in a consumer group, so that a right on it is missed
    """
    try:
        messages = client.consume(rows, wait)
    except KafkaException as exception:
        tell(exception.args[0])
        return []
    good = []
    for message in messages:
        error = message.error()
        if error is None:
            good.append(message)
        elif grouped or error.code() != GROUPLESS:
            tell(error)
    return good


def tell(error: KafkaError) -> None:
    """librdkafka recovers by itself from everything that is not fatal. Raises Conflict when it is."""
    if error.fatal() or error.code() in (KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL):
        raise Conflict(
            f"this member of the consumer group was fenced ({error.name()}): another process uses the same instance "
            "name; give each replica its own"
        )
    log.warning("reading from Kafka: %s", translate(error, "consume"))


def judge(error: KafkaError) -> None:
    """What a failed commit means: a rebalance, after which it is known whose the partitions are. Raises Conflict when
    fenced, Unavailable when it should be tried again."""
    if error.code() in REBALANCING:
        log.warning("offsets are not committed during a rebalance: %s", error.name())
        return
    tell(error)
    raise Unavailable(str(translate(error, "commit offsets")))


def unreadable(client: Consumer, names: Mapping[str, str]) -> str | None:
    """What keeps the first of these topics from being read, with the remedy. `names` as `items` takes them."""
    for topic, name in names.items():
        try:
            fault = fault_of(client, topic)
        except KafkaException as exception:
            fault = exception.args[0]
        if fault is not None and is_missing(fault) and name not in OURS:
            return (
                f"the topic {topic} does not exist; create it, or give the source the name of another one: it is read "
                "as soon as it is there"
            )
        if fault is not None:
            return str(translate(fault, f"read {topic}"))
    return None


def items(messages: Sequence[Message], names: Mapping[str, str]) -> list[Item]:
    """The messages that have a value. `names` gives a topic's name without the prefix."""
    items, at, milliseconds = [], datetime.fromtimestamp(0, UTC), 0
    given: Any  # its stubs allow for deserialisers and for messages that were never consumed
    for given in messages:
        value = given.value()
        if value is None:
            continue
        _, then = given.timestamp()
        if then != milliseconds:  # neighbours share theirs, and a datetime costs as much as the rest
            at, milliseconds = datetime.fromtimestamp(then / 1000, UTC), then
        headers: Sequence[tuple[str, bytes]] = _Headers(marshal.dumps(pairs)) if (pairs := given.headers()) else ()
        items.append(Item(names[given.topic()], given.partition(), given.offset(), at, given.key(), value, headers))
    return items


def committed(client: Consumer, partition: TopicPartition) -> int:
    """Where its group goes on; negative where it never committed. Raises Unavailable."""
    try:
        [found] = client.committed([TopicPartition(partition.topic, partition.partition)], timeout=PATIENCE_S)
    except KafkaException as error:
        raise translate(error.args[0], "read committed offsets") from error
    return found.offset


def targets(
    client: Consumer, names: Mapping[Place, str], starts: Mapping[Place, datetime | int]
) -> list[TopicPartition]:
    """Where partitions continue that are to be read again; `names` are their topics with the prefix.

    Never before what the broker still keeps, nor behind the end.
    """
    times = [
        TopicPartition(names[place], place[1], int(at.timestamp() * 1000))
        for place, at in starts.items()
        if isinstance(at, datetime)
    ]
    found = client.offsets_for_times(times, timeout=PATIENCE_S) if times else []
    offsets = {(one.topic, one.partition): one.offset for one in found}
    given = []
    for place, start in starts.items():
        here = names[place], place[1]
        low, high = client.get_watermark_offsets(TopicPartition(*here), timeout=PATIENCE_S)
        offset = offsets.get(here, start)
        # OFFSET_END is negative: no record of that time or later
        wanted = high if not isinstance(offset, int) or offset < 0 else offset
        given.append(TopicPartition(*here, min(max(wanted, low), high)))
    return given


class _Headers(Sequence[tuple[str, bytes]]):
    """Packed, and unpacked when somebody looks: few sinks want them, and as librdkafka or Python has them they take
    more room than the value. By marshal, which is one call: what it reads was written by this process a moment ago.
    """

    __slots__ = ("_packed",)

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def _pairs(self) -> list[tuple[str, bytes]]:
        return [(name, value or b"") for name, value in marshal.loads(self._packed)]  # noqa: S302 # nosec B302 - its own

    @overload
    def __getitem__(self, index: int) -> tuple[str, bytes]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[str, bytes]]: ...

    def __getitem__(self, index: int | slice) -> tuple[str, bytes] | Sequence[tuple[str, bytes]]:
        return self._pairs()[index]

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return iter(self._pairs())

    def __len__(self) -> int:
        return len(self._pairs())


def configuration(connection: Mapping[str, Any], group: str, instance: str | None) -> dict[str, Any]:
    """For a member that commits by itself and sees committed records only."""
    config = {
        **connection,
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 2_000,
        "max.poll.interval.ms": 300_000,
        "fetch.wait.max.ms": 500,
        # what a compressed fetch inflates to counts only once it is here: small fetches keep the memory small
        "fetch.max.bytes": 1024 * 1024,
        "max.partition.fetch.bytes": 256 * 1024,
        "queued.max.messages.kbytes": 2 * 1024,
        # when the queue was full: the default of 1 s would cap the throughput at 2 MiB a second
        "fetch.queue.backoff.ms": 5,
        "reconnect.backoff.max.ms": 1000,
        # a topic that is made later is found so soon; by default within five minutes
        "topic.metadata.refresh.interval.ms": 10_000,
        "socket.keepalive.enable": True,
    }
    return config if instance is None else {**config, "group.instance.id": instance}


def patience(seconds: float) -> dict[str, int]:
    """Of a member whose batches take so long. They wait for more anyway, so may their fetches, for a fifth of that: one
    that brings a single record costs the broker and this process as much as one that brings a thousand. Not for less
    than a tenth of a second: a consumer that has nothing to read would ask the broker fifty times a second."""
    return {"fetch.min.bytes": 64 * 1024, "fetch.wait.max.ms": max(100, int(seconds * 200))}
