"""What `audit` does."""

import asyncio
from typing import Any

from cli._audit_options import AuditOptions
from cli._output import print_rows
from cli._stack import Stack
from cli._target import find
from cli._time import parse_since
from connectors.postgres.pool import connect
from connectors.postgres.trail import PostgresTrail
from domain.trail.model import Entry, Wanted
from domain.trail.view import shown

COLUMNS = ("at", "tenant", "actor", "action", "object", "address", "request_id")


def listing(stack: Stack, which: AuditOptions, as_json: bool) -> None:
    since, until = (None if text is None else parse_since(text) for text in (which.since, which.until))
    wanted = Wanted(which.tenant, which.action, which.type, which.id, which.key, since, until)
    found = asyncio.run(_page(find(stack).settings.database_url.get_secret_value(), wanted, which.limit))
    rows = [shown(one, whole=True) for one in found]
    print_rows(COLUMNS, rows if as_json else [_short(row) for row in rows], as_json)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    actor, changed = row["actor"], row["object"]
    return {**row, "actor": actor["key_id"] or actor["kind"], "object": f"{changed['type']} {changed['id']}".rstrip()}


async def _page(url: str, wanted: Wanted, limit: int) -> list[Entry]:
    pool = await connect(url, 1)
    try:
        return await PostgresTrail(pool).page(wanted, limit, None)
    finally:
        await pool.close()
