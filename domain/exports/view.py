"""Exports into a bucket, and their schedules, as the API and the command line show them."""

from datetime import datetime
from typing import Any

from domain.exports.job import Job, Order
from domain.exports.schedule import Schedule
from topics.base import format_time


def fields(job: Job) -> dict[str, Any]:
    """`status` is waiting where a queued job has a reason not to run."""
    status = "waiting" if job.state == "queued" and job.detail else job.state
    done, progress = job.state == "completed", job.progress
    return {
        "id": job.id,
        "status": status,
        "detail": job.detail or None,
        "schedule": job.schedule,
        **_order(job.order),
        "since": format_time(job.order.since),
        "until": format_time(job.order.until),
        "progress": {"rows": progress.rows, "total_rows": progress.total, "bytes": progress.bytes},
        "file": job.file if done else None,
        "next_try_at": _time(job.due_at) if status == "waiting" else None,
        "created_at": format_time(job.created_at),
        "started_at": _time(job.started_at),
        "ended_at": _time(job.ended_at),
        "links": {"self": f"/v1/exports/{job.id}"},
    }


def schedule_fields(one: Schedule) -> dict[str, Any]:
    return {
        "name": one.name,
        "cron": one.cron,
        "time_zone": one.zone,
        **_order(one.order),
        "paused_at": _time(one.paused_at),
        "done_until": format_time(one.done_until),
        "next_at": None if one.paused_at or one.next_at.year == 9999 else format_time(one.next_at),
        "last_export": one.last_job,
        "created_at": format_time(one.created_at),
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "format": order.format,
        "fields": None if order.fields is None else list(order.fields),
        "only": {"template": order.template, "status": order.status},
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else format_time(at)
