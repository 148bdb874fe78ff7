"""Reads the audit log: of one tenant, or for operators of all."""

from collections.abc import Callable
from datetime import datetime

import orjson

from api.audit_schemas import EVERY, AuditFilter
from api.paging import decode_cursor, encode_cursor
from api.usage.service import since_of
from api.within import LEDGER, PATIENCE_S, within
from domain.ports import Trail
from domain.trail.model import Wanted
from domain.trail.view import shown


class AuditReader:
    """`now` is the clock."""

    def __init__(self, trail: Trail, now: Callable[[], datetime]) -> None:
        self._trail = trail
        self._now = now

    async def page(self, tenant: str, asked: AuditFilter, *, operates: bool) -> bytes:
        """`tenant` is the caller's. Raises Problem (invalid_request; unavailable when PostgreSQL does not answer)."""
        before = decode_cursor(asked.cursor) if asked.cursor else None
        found = await within(self._trail.page(self._wanted(tenant, asked), asked.limit + 1, before), PATIENCE_S, LEDGER)
        last = found[asked.limit - 1] if len(found) > asked.limit else None
        items = [shown(one, whole=operates) for one in found[: asked.limit]]
        return orjson.dumps({"items": items, "next_cursor": encode_cursor(last.at, last.id) if last else None})

    def _wanted(self, tenant: str, asked: AuditFilter) -> Wanted:
        whose = None if asked.tenant == EVERY else asked.tenant or tenant
        since, until = (
            None if text is None else since_of(text, self._now(), place)
            for text, place in ((asked.since, "/query/since"), (asked.until, "/query/until"))
        )
        return Wanted(whose, asked.action, asked.type, asked.id, asked.key_id, since, until)
