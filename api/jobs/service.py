"""Reads jobs of one tenant."""

from typing import Any

import orjson

from api import problems
from api.analyze.outcome import links
from api.analyze.waiters import FINAL
from api.paging import decode_cursor, encode_cursor, is_id
from api.problems import Problem
from api.within import LEDGER, PATIENCE_S, within
from domain.jobs.model import JobView
from domain.ports import Jobs
from topics.base import format_time


class JobReader:
    """Answers are the bytes of the body. Every method raises Problem (unavailable) when PostgreSQL does not answer."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def page(self, tenant: str, limit: int, cursor: str | None) -> bytes:
        before = decode_cursor(cursor) if cursor else None
        # one more than asked for tells whether there is a next page
        views = await within(self._jobs.listing(tenant, limit + 1, before), PATIENCE_S, LEDGER)
        last = views[limit - 1] if len(views) > limit else None
        items = [fields_of(view) for view in views[:limit]]
        return orjson.dumps({"items": items, "next_cursor": encode_cursor(last.created_at, last.id) if last else None})

    async def one(self, tenant: str, id: str) -> bytes:
        return orjson.dumps(fields_of(await self.view(tenant, id)))

    async def result(self, tenant: str, id: str) -> bytes:
        view = await self.view(tenant, id)
        if view.state not in FINAL:
            detail = f"the job is {view.state}; its result is not there yet"
            raise Problem("not_finished", detail, headers=problems.retry_header(1))
        if view.result is None:
            raise Problem("expired", f"request {id!r} is finished and its result is no longer kept")
        return view.result

    async def view(self, tenant: str, id: str) -> JobView:
        """Raises Problem (not_found)."""
        views = await within(self._jobs.view(tenant, [id]), PATIENCE_S, LEDGER) if is_id(id) else []
        if not views:
            raise Problem("not_found", f"no job has the id {id[:255]!r}")
        return views[0]


def fields_of(view: JobView) -> dict[str, Any]:
    """A job as its routes show it; in a listing `error` has only its code and `usage` is null."""
    result = orjson.loads(view.result) if view.result else {}
    error = result.get("error") or ({"code": view.error_code} if view.error_code else None)
    return {
        "id": view.id,
        "status": view.state,
        "run": view.run,
        "created_at": format_time(view.created_at),
        "updated_at": format_time(view.updated_at),
        "waiting": _waiting(view),
        "error": error,
        "usage": result.get("usage"),
        "repeated": view.repeated,
        "links": links(view.id),
    }


def _waiting(view: JobView) -> dict[str, str | None] | None:
    """What it waits for and until when, at least; null while it waits for nothing but a worker."""
    if view.reason is None:
        return None
    return {"reason": view.reason, "until": format_time(view.not_before) if view.not_before else None}
