"""Topics: create what is missing, say what differs. Nothing is deleted, and nothing changed unless told so: `grow`."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # public, but its stubs do not re-export them
    AdminClient,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from connectors.kafka import security
from connectors.kafka.errors import translate
from connectors.kafka.reading import QUIET
from domain.errors import Unavailable
from domain.settings import Settings
from topics.table import MIB, Topic

_TIMEOUT_S = 15.0
_OVERHEAD = 192 * 1024
"""Keys, headers (64 KiB may be carried over) and the frame of a batch, beside the value."""


@dataclass(frozen=True, slots=True)
class TopicReport:
    """`state` is created, ok or differs; `differences` says what to change by hand."""

    name: str
    state: str
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lacking:
    """What the brokers have not of the table: topics, and partitions of topics (as `name has 1 of 12`)."""

    topics: tuple[str, ...]
    partitions: tuple[str, ...]


def apply(settings: Settings, table: Sequence[Topic]) -> list[TopicReport]:
    """Bring the brokers to `table`. Raises Unavailable, or Permanent where the broker's policy forbids a topic."""
    client = _client(settings)
    names = {settings.topic_prefix + topic.name for topic in table}
    existing = _existing(client, settings)
    created = _create(client, settings, [t for t in table if settings.topic_prefix + t.name not in existing])
    existing = _await_leaders(client, settings, dict.fromkeys(names, 1))
    mine = {report.name for report in created}
    checked = _check(client, settings, [t for t in table if settings.topic_prefix + t.name not in mine], existing)
    reports = {report.name: report for report in (*created, *checked)}
    return [reports[settings.topic_prefix + topic.name] for topic in table]


def grow(settings: Settings, table: Sequence[Topic]) -> list[str]:
    """Give topics of fewer partitions than the table's the rest of them, and name those topics.

    Records keep their partitions; from now on keys may go to others. Raises Unavailable.
    """
    client = _client(settings)
    existing, wanted = _existing(client, settings), {settings.topic_prefix + t.name: t.partitions for t in table}
    thin = {
        name: count for name, count in wanted.items() if name in existing and len(existing[name].partitions) < count
    }
    if thin:
        changes = client.create_partitions([NewPartitions(name, count) for name, count in thin.items()])
        for name, future in changes.items():
            _result(future, f"add partitions to {name}")
        _await_leaders(client, settings, thin)
    return list(thin)


def lacking(settings: Settings, table: Sequence[Topic], timeout_s: float = _TIMEOUT_S) -> Lacking:
    """What a look at the brokers' list of topics shows. Raises Unavailable."""
    existing, missing, thin = _existing(_client(settings), settings, timeout_s), [], []
    for topic in table:
        name = settings.topic_prefix + topic.name
        if name not in existing:
            missing.append(name)
        elif len(existing[name].partitions) < topic.partitions:
            thin.append(f"{name} has {len(existing[name].partitions)} of {topic.partitions}")
    return Lacking(tuple(missing), tuple(thin))


def _client(settings: Settings) -> AdminClient:
    return AdminClient({**security.librdkafka(settings), **QUIET})


def configuration(topic: Topic, replication: int) -> dict[str, str]:
    """A topic's settings on the broker.

    The broker's limit counts a whole batch of records, so it never falls below a producer's batch; the limit of a
    single value is kept by whoever writes it.
    """
    config = {
        "max.message.bytes": str(max(topic.max_bytes, MIB) + _OVERHEAD),
        "min.insync.replicas": str(max(1, replication - 1)),
        "cleanup.policy": "compact" if topic.retention is None else "delete",
    }
    if topic.retention is not None:
        config["retention.ms"] = str(int(topic.retention.total_seconds() * 1000))
    return config


def _existing(client: AdminClient, settings: Settings, timeout_s: float = _TIMEOUT_S) -> Mapping[str, TopicMetadata]:
    try:
        return client.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        raise translate(error.args[0], f"list the topics of {settings.kafka}") from error


def _create(client: AdminClient, settings: Settings, topics: Sequence[Topic]) -> list[TopicReport]:
    if not topics:
        return []
    new = [
        NewTopic(
            settings.topic_prefix + topic.name,
            topic.partitions,
            settings.replication,
            config=configuration(topic, settings.replication),
        )
        for topic in topics
    ]
    reports = []
    for name, future in client.create_topics(new, operation_timeout=_TIMEOUT_S).items():
        try:
            future.result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was faster: to be checked
                raise translate(error.args[0], f"create the topic {name}") from error
        else:
            reports.append(TopicReport(name, "created"))
    return reports


def _await_leaders(client: AdminClient, settings: Settings, counts: Mapping[str, int]) -> Mapping[str, TopicMetadata]:
    """The controller answers before the brokers know a new topic, or partition; whoever writes or reads next needs
    its leaders. `counts`: the partitions there are to be, by topic, at least."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        known = _existing(client, settings)
        if all(name in known and _is_led(known[name], count) for name, count in counts.items()):
            return known
        time.sleep(0.05)
    raise Unavailable(f"new topics have no leader after {_TIMEOUT_S:g} s; see the brokers' logs")


def _is_led(topic: TopicMetadata, count: int) -> bool:
    return len(topic.partitions) >= count and all(partition.leader >= 0 for partition in topic.partitions.values())


def _check(
    client: AdminClient, settings: Settings, topics: Sequence[Topic], existing: Mapping[str, TopicMetadata]
) -> list[TopicReport]:
    if not topics:
        return []
    names = {settings.topic_prefix + topic.name: topic for topic in topics}
    described = client.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    reports = []
    for resource, future in described.items():
        topic, metadata = names[resource.name], existing[resource.name]
        actual = {name: entry.value for name, entry in _result(future, f"describe {resource.name}").items()}
        differences = (*_shape(topic, settings, metadata), *_settings(topic, settings, actual))
        reports.append(TopicReport(resource.name, "differs" if differences else "ok", differences))
    return reports


def _result(future: "Future[Any]", doing: str) -> Any:
    try:
        return future.result(_TIMEOUT_S)
    except KafkaException as error:
        raise translate(error.args[0], doing) from error


def _shape(topic: Topic, settings: Settings, actual: TopicMetadata) -> list[str]:
    found = []
    partitions = actual.partitions
    if len(partitions) < topic.partitions:
        found.append(f"{len(partitions)} partitions, {topic.partitions} wanted")
    replicas = min((len(p.replicas) for p in partitions.values()), default=0)
    if replicas < settings.replication:
        found.append(f"{replicas} replicas, {settings.replication} wanted (STRUCTURED_PROMPT_REPLICATION_FACTOR)")
    return found


def _settings(topic: Topic, settings: Settings, actual: Mapping[str, str | None]) -> list[str]:
    wanted = configuration(topic, settings.replication)
    return [f"{name}={actual.get(name)}, {value} wanted" for name, value in wanted.items() if actual.get(name) != value]
