"""The in-memory twins of the ClickHouse sink and of the usage reader over it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from pydantic import ValidationError

from domain.caching.use import CacheUse
from domain.errors import Transient
from domain.ports import Item, Refused
from domain.usage import check_dimensions
from topics.base import Message
from topics.records import LifecycleEvent, UsageRecord
from topics.result import PromptResult
from topics.table import EVENTS, RESULTS, USAGE

MESSAGES: dict[str, type[Message]] = {RESULTS: PromptResult, USAGE: UsageRecord, EVENTS: LifecycleEvent}
EPOCH = datetime.fromtimestamp(0, UTC)


class MemorySink:
    """Implements domain.ports.Sink.

    `troubles` are raised by the next calls of open and write, one each, first in first out: a destination that is
    down for a while.
    """

    topics = tuple(MESSAGES)

    def __init__(self, troubles: Sequence[Transient] = ()) -> None:
        self.troubles = list(troubles)
        self.is_open = False
        self.results: dict[tuple[str, str], PromptResult] = {}
        self.calls: dict[tuple[str, str, int, int], UsageRecord] = {}
        self.events: dict[tuple[str, str], LifecycleEvent] = {}

    async def open(self) -> None:
        self._stumble()
        self.is_open = True

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        self._stumble()
        refused = []
        for item in batch:
            try:
                self._keep(MESSAGES[item.topic].model_validate(orjson.loads(item.value)))
            except (orjson.JSONDecodeError, ValidationError) as error:
                refused.append(Refused(item, str(error)))
        return refused

    async def close(self) -> None:
        self.is_open = False

    def _stumble(self) -> None:
        if self.troubles:
            raise self.troubles.pop(0)

    def _keep(self, message: Message) -> None:
        if isinstance(message, PromptResult):
            self._keep_result(message)
        elif isinstance(message, UsageRecord):
            key = (message.tenant, message.id, message.run, message.attempt)
            if message.outcome != "unknown" or key not in self.calls:
                self.calls[key] = message
        elif isinstance(message, LifecycleEvent):
            self.events[message.tenant, message.event_id] = message

    def _keep_result(self, result: PromptResult) -> None:
        if result.error is not None and result.error.code == "id_conflict":
            return
        known = self.results.get((result.tenant, result.id))
        if known is None or (known.run, known.completed_at) <= (result.run, result.completed_at):
            self.results[result.tenant, result.id] = result


@dataclass(frozen=True, slots=True)
class _Grain:
    """A request or an attempt, as usage counts it."""

    at: datetime
    message: PromptResult | UsageRecord


class MemoryUsage:
    """Implements domain.ports.UsageReader over a MemorySink."""

    def __init__(self, sink: MemorySink) -> None:
        self._sink = sink

    async def usage(self, tenant: str | None, by: Sequence[str], since: datetime) -> list[dict[str, Any]]:
        """As ClickHouseUsage.usage."""
        wanted = check_dimensions(by)
        groups: dict[str, list[_Grain]] = defaultdict(list)
        for grain in self._grains():
            if tenant in (None, grain.message.tenant) and grain.at >= since:
                groups[repr([_dimension(name, grain) for name in wanted])].append(grain)
        rows = [_row(wanted, grains) for grains in groups.values()]
        return sorted(rows, key=_order)

    async def cache(self, tenant: str, since: datetime) -> list[CacheUse]:
        """As ClickHouseUsage.cache."""
        groups: dict[str | None, list[PromptResult]] = defaultdict(list)
        for result in self._sink.results.values():
            if (result.tenant, result.status) == (tenant, "completed") and result.completed_at >= since:
                groups[result.template.name if result.template else None].append(result)
        uses = [_use(template, results) for template, results in groups.items()]
        return sorted(uses, key=lambda use: (-use.completed, use.template or ""))

    def _grains(self) -> Iterator[_Grain]:
        yield from (_Grain(result.completed_at, result) for result in self._sink.results.values())
        yield from (_Grain(call.at, call) for call in self._sink.calls.values())


def _dimension(name: str, grain: _Grain) -> Any:
    if name == "hour":
        return grain.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if name == "day":
        return grain.at.astimezone(UTC).date()
    if name == "tags":
        return dict(sorted(grain.message.tags.items()))
    if name == "template":
        return grain.message.template.name if grain.message.template else None
    return getattr(grain.message, name)


def _row(wanted: Sequence[str], grains: Sequence[_Grain]) -> dict[str, Any]:
    results = [grain.message for grain in grains if isinstance(grain.message, PromptResult)]
    calls = [grain.message for grain in grains if isinstance(grain.message, UsageRecord)]
    times = sorted(max(0, result.timings.total_ms) for result in results)
    return {
        **{name: _dimension(name, grains[0]) for name in wanted},
        "requests": len(results),
        "completed": sum(result.status == "completed" for result in results),
        "failed": sum(result.status == "failed" for result in results),
        "rejected": sum(result.status == "rejected" for result in results),
        "cached": sum(result.cached is not None for result in results),
        "input_tokens": sum(call.input_tokens for call in calls),
        "output_tokens": sum(call.output_tokens for call in calls),
        "cost_usd": sum((call.cost_usd for call in calls), Decimal(0)),
        "p50_ms": _quantile(times, 50),
        "p95_ms": _quantile(times, 95),
        "p99_ms": _quantile(times, 99),
    }


def _use(template: str | None, results: Sequence[PromptResult]) -> CacheUse:
    kinds = Counter(result.cached for result in results)
    uses = [(result.cached, result.cache) for result in results if result.cache is not None]
    return CacheUse(
        template,
        len(results),
        kinds["exact"],
        kinds["semantic"],
        kinds["coalesced"],
        sum((use.saved_usd for _, use in uses), Decimal(0)),
        sum(use.age_s for kind, use in uses if kind != "coalesced"),
    )


def _quantile(times: Sequence[int], percent: int) -> int:
    """The smallest value that at least `percent` % of the sorted `times` do not exceed; 0 without any."""
    if not times:
        return 0
    return times[max(0, -(-len(times) * percent // 100) - 1)]


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    when = row.get("hour", EPOCH), row.get("day", EPOCH.date())
    return *when, -row["cost_usd"], -row["requests"], repr(row)
