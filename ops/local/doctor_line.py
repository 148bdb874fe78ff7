"""Does somebody run each stage and sink, and do they keep up? What `doctor` reads off the broker's consumer groups."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Self

from connectors.kafka import security
from connectors.kafka.standing import Groups
from connectors.sinks import SINKS
from domain.errors import Unavailable
from domain.lag import Course, Standing, course
from domain.settings import Settings
from topics.table import CALLS, DEAD_LETTERS, REQUESTS, requests_of

from .check import Check

Pause = Callable[[float], Awaitable[None]]
TURN_S = 2.0
LEAST_S, MOST_S = 6.0, 20.0
"""Between the first look and the last: members commit once a second, and a call may take long."""
SLOW_S = 10.0
"""A sink that waits longer for a batch stands between two of them: of it, only members are told."""
ALL = "structured-prompt doctor --use-env kafka,postgres,redis,clickhouse,providers"
GROUP = "structured-prompt."
SINK = "sink-"


class Line:
    """What is looked at: `topics` of each group that there should be, or is. `where`: --data DIR or --use-env."""

    def __init__(self, settings: Settings, where: str, topics: Mapping[str, Sequence[str]]) -> None:
        self._beginning = settings.topic_prefix + GROUP
        self._settings = settings
        self._where = where
        self._topics = topics

    @classmethod
    async def found(cls, settings: Settings, where: str, groups: Groups) -> Self:
        """Stages are always wanted; sinks where there was one, as the brokers remember for some days."""
        beginning, prefix = settings.topic_prefix + GROUP, settings.topic_prefix
        requests = [REQUESTS, *(requests_of(tenant) for tenant in settings.tenants_with_topics)]
        wanted = {"intake": requests, "infer": CALLS.values(), "dead-letters": [DEAD_LETTERS]}
        sinks = [name.removeprefix(beginning) for name in await groups.names(beginning + SINK)]
        stages = {name: [prefix + topic for topic in topics] for name, topics in wanted.items()}
        return cls(settings, where, stages | {name: [] for name in sinks})

    async def look(self, groups: Groups) -> dict[str, Standing]:
        names = self._topics.items()
        seen = await asyncio.gather(*(groups.look(self._beginning + name, topics) for name, topics in names))
        return dict(zip(self._topics, seen, strict=True))

    def check(self, name: str, seen: Course, seconds: float) -> Check | None:
        """What is said of a group; None when it is well."""
        if seen.state == "left":
            return self._left(name, seen)
        if seen.state == "well" or self._pace_s(name) > SLOW_S:
            return None
        if seen.state == "stands":
            told = f"{_what(name)} has {seen.lag} events, and was done with none of them in {seconds:.0f} s"
            return Check(_what(name), "warn", told, self._look_at(name))
        told = f"{_what(name)} falls behind: {seen.lag} events wait, {seen.came} came and {seen.done} were done in"
        return Check(_what(name), "warn", f"{told} {seconds:.0f} s", self._more_of(name))

    def _left(self, name: str, seen: Course) -> Check:
        """Nothing that waits is a stage nobody started yet, or a sink that was taken away."""
        verdict = "fail" if seen.lag else "warn"
        none = f"its consumer group has no member, and {seen.lag} events wait"
        if name.startswith(SINK):  # which joins the group only once its destination is open
            told = f"{_what(name)} is not run, or cannot open its destination: {none}"
            start = "" if self._embedded else f", and where it is stopped {_run(name)}"
            return Check(_what(name), verdict, told, f"structured-prompt sinks list {self._where}{start}")
        told = f"nobody runs {_what(name)}: {none}"
        return Check(_what(name), verdict, told, self._logs(name) if self._embedded else _run(name))

    def _look_at(self, name: str) -> str:
        if name.startswith(SINK):
            return f"structured-prompt sinks list {self._where}"
        if self._embedded:
            return self._logs(name)
        return f"{ALL}, then the log of its worker"

    def _more_of(self, name: str) -> str:
        if name.startswith(SINK):
            return f"structured-prompt sinks list {self._where}"
        if self._embedded:
            return f"structured-prompt down {self._where} and structured-prompt up --workers 2 {self._where}"
        return f"{_run(name)}, once more, here or on another machine"

    def _logs(self, name: str) -> str:
        return f"structured-prompt logs worker-{_stage(name)}-1 {self._where}"

    @property
    def _embedded(self) -> bool:
        return self._where.startswith("--data")

    def _pace_s(self, name: str) -> float:
        kind = SINKS.get(name.removeprefix(SINK))
        usual = kind.bounds.seconds if kind else 1.0
        return self._settings.sink_interval_s if "sink_interval_s" in self._settings.model_fields_set else usual


async def ask(settings: Settings, where: str, pause: Pause = asyncio.sleep) -> list[Check]:
    """A check of each stage and sink that is not well, or one of all. Changes nothing; at once when nothing waits."""
    try:
        async with Groups(security.aiokafka(settings)) as groups:
            line = await Line.found(settings, where, groups)
            found, seconds = await _watch(line, groups, pause)
    except Unavailable as error:
        told, _, remedy = str(error).partition("; ")
        return [Check("line", "warn", told, remedy)]
    checks = [check for name, seen in found.items() if (check := line.check(name, seen, seconds))]
    waiting = sum(seen.lag for seen in found.values())
    return checks or [Check("line", "ok", f"{len(found)} stages and sinks run, and {waiting} events wait for them")]


async def _watch(line: Line, groups: Groups, pause: Pause) -> tuple[dict[str, Course], float]:
    """Looks again while something waits: until all that have members moved, or long enough."""
    first = last = await line.look(groups)
    passed = 0.0
    while passed < MOST_S and any(seen.members and seen.lag for seen in last.values()):
        await pause(TURN_S)
        passed += TURN_S
        last = await line.look(groups)
        found = {name: course(first[name], seen) for name, seen in last.items()}
        if passed >= LEAST_S and all(seen.state != "stands" for seen in found.values()):
            break
    found = {name: course(first[name], seen) for name, seen in last.items()}
    return {name: await _real(seen, last[name], groups) for name, seen in found.items()}, passed


async def _real(seen: Course, last: Standing, groups: Groups) -> Course:
    """What waits may be marks of transactions alone."""
    if seen.state in ("well", "grows") or not seen.lag or await groups.holds(last):
        return seen
    return replace(seen, state="left" if seen.state == "left" else "well", lag=0)


def _what(name: str) -> str:
    return f"the sink {name.removeprefix(SINK)}" if name.startswith(SINK) else f"the stage {_stage(name)}"


def _run(name: str) -> str:
    if name.startswith(SINK):
        return f"structured-prompt sink {name.removeprefix(SINK)}"
    return f"structured-prompt worker --stage {_stage(name)}"


def _stage(name: str) -> str:
    """That whose processes are the group's members."""
    return "wake" if name == "dead-letters" else name
