"""Exports at set times: a cron expression in a time zone. Pure; cronsim knows cron, and what moving a clock means.

A run exports what ended since the one before, up to its own time, so that no result is left out and none is twice. Runs
that were missed, or passed by in a pause, are one run: it reaches from the last one that was to the newest that is due.
A run waits, for a day at most, while the sink that fills the usage database is behind its time.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from domain.errors import InvalidRequest, Problem
from domain.exports.job import Job, Order
from domain.sinks.model import STALE, Report, SinkView

SETTLE = timedelta(seconds=60)
"""A run begins so long after its time: what ended before it is in the usage database by then."""
LONGEST_WAIT = timedelta(hours=24)
"""A run whose time is longer ago does not wait for the usage database any more."""
MOST_SCHEDULES = 100
"""Of one tenant."""
LEAST_GAP = timedelta(minutes=5)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_LOOKED_AT = 60


@dataclass(frozen=True, slots=True)
class Schedule:
    """`order` says what but not when: its times are those of each run.

    done_until:  everything that ended before was ordered
    next_at:     time of the next run, or of the first that was missed
    """

    tenant: str
    name: str
    cron: str
    zone: str
    order: Order
    created_at: datetime
    done_until: datetime
    next_at: datetime
    paused_at: datetime | None = None
    last_job: str | None = None


def check(cron: str, zone: str, now: datetime) -> datetime:
    """The first time behind `now`. Raises InvalidRequest for what is no cron, no zone, never, or too often."""
    if zone not in available_timezones():
        near = get_close_matches(zone, available_timezones(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else "; name it as Europe/Berlin"
        raise _invalid("/time_zone", f"there is no time zone {zone[:64]!r}{hint}")
    if len(cron.split()) != 5:
        raise _invalid("/cron", "must have five fields: minute, hour, day of the month, month, day of the week")
    try:
        times = list(islice(CronSim(cron, now.astimezone(ZoneInfo(zone))), _LOOKED_AT))
    except CronSimError as error:
        raise _invalid("/cron", f"is no cron expression: {error}") from None
    if not times:
        raise _invalid("/cron", "names a day that never comes")
    if any(later.astimezone(UTC) - one.astimezone(UTC) < LEAST_GAP for one, later in pairwise(times)):
        raise _invalid("/cron", "runs at most every five minutes")
    return times[0].astimezone(UTC)


def following(schedule: Schedule, now: datetime) -> datetime:
    """The first time behind `now`."""
    found = next(CronSim(schedule.cron, now.astimezone(ZoneInfo(schedule.zone))), None)
    return NEVER if found is None else found.astimezone(UTC)


def run(schedule: Schedule, id: str, now: datetime) -> tuple[Job, Schedule]:
    """The job of a schedule that is due (`next_at` is SETTLE or more ago), and the schedule after it."""
    until = _newest(schedule, now - SETTLE)
    order = replace(schedule.order, since=schedule.done_until, until=until)
    job = Job(schedule.tenant, id, order, now, now, schedule.name)
    return job, replace(schedule, done_until=until, next_at=following(schedule, until), last_job=id)


def arrived(sink: SinkView | None, until: datetime, now: datetime) -> bool:
    """Whether the usage database has what was logged before `until`, as far as the processes of its sink tell.

    Of a sink that was never heard of nothing is known: nobody waits for it.
    """
    if sink is None or now - until >= LONGEST_WAIT:
        return True
    alive = [one for one in sink.members if now - one.seen_at < STALE]
    return bool(alive) and all(one.seen_at >= until and _has(one.report, until) for one in alive)


def _has(report: Report, until: datetime) -> bool:
    """It is behind with nothing, or holds later records only."""
    return not report.lag or (report.oldest_at is not None and report.oldest_at >= until)


def _newest(schedule: Schedule, bound: datetime) -> datetime:
    """The last time of it that is not behind `bound`, at least its next one."""
    local = (bound + timedelta(seconds=1)).astimezone(ZoneInfo(schedule.zone))
    found = next(CronSim(schedule.cron, local, reverse=True), None)
    return schedule.next_at if found is None else max(schedule.next_at, found.astimezone(UTC))


def _invalid(path: str, message: str) -> InvalidRequest:
    return InvalidRequest("invalid_request", f"{path[1:]} {message}", (Problem(path, message),))
