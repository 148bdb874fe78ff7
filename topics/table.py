"""The topics, on one screen. Retention None means compacted. Sizes in bytes, the key is what partitions by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from topics.request import LANES

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Topic:
    """A row of the table in contracts.md."""

    name: str
    value: str
    key: str
    writers: str
    partitions: int
    retention: timedelta | None
    max_bytes: int


REQUESTS = "prompt.requests"
RESULTS = "prompt.results"
USAGE = "prompt.usage"
EVENTS = "prompt.events"
DEAD_LETTERS = "prompt.dead-letters"
CONTROL = "prompt.control"
CALLS = {lane: f"prompt.calls.{lane}" for lane in LANES}


def requests_of(tenant: str) -> str:
    """The topic of requests of one tenant alone, beside the one that all share."""
    return f"{REQUESTS}.{tenant}"


def is_requests(topic: str) -> bool:
    """Whether it holds requests, of all tenants or of one."""
    return topic == REQUESTS or topic.startswith(REQUESTS + ".")


_WEEK = timedelta(days=7)
_MONTH = timedelta(days=28)

TABLE: tuple[Topic, ...] = (
    Topic(REQUESTS, "PromptRequest", "any", "anyone with Kafka rights, api", 12, _WEEK, MIB),
    *(Topic(CALLS[lane], "PromptCall", "tenant and id", "intake, wake", 12, _WEEK, 1536 * KIB) for lane in LANES),
    Topic(RESULTS, "PromptResult", "request id, or the request's key", "intake, infer", 12, _MONTH, 1536 * KIB),
    Topic(USAGE, "UsageRecord", "tenant", "infer", 12, _MONTH, 64 * KIB),
    Topic(EVENTS, "LifecycleEvent", "tenant", "all stages", 12, _WEEK, 64 * KIB),
    Topic(DEAD_LETTERS, "DeadLetter", "original key", "all stages", 4, _MONTH, 2 * MIB),
    Topic(CONTROL, "ControlMessage", "subject", "api", 1, None, 64 * KIB),
)


def with_tenants(tenants: Sequence[str]) -> tuple[Topic, ...]:
    """The table, and a topic of requests for each of these tenants, like the one that all share."""
    shared = TABLE[0]
    return (*TABLE, *(replace(shared, name=requests_of(tenant), writers=tenant) for tenant in tenants))
