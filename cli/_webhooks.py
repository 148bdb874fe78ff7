"""What `webhooks` does."""

import asyncio
from collections.abc import Sequence

from cli._output import print_json, print_table
from cli._stack import Stack
from cli._target import find
from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.pool import connect
from domain.webhooks.model import Endpoint
from domain.webhooks.view import shown

COLUMNS = ("id", "url", "events", "enabled", "disabled_reason", "failing_since")
MOST = 1_000


def listing(stack: Stack, tenant: str | None, as_json: bool) -> None:
    """Newest first; no secret is shown, none is kept."""
    target = find(stack)
    found = asyncio.run(_endpoints(target.settings.database_url.get_secret_value(), target.tenant_or(tenant)))
    rows = [shown(one) for one in found]
    if as_json:
        print_json(rows)
    else:
        print_table(COLUMNS, [[_text(row[name]) for name in COLUMNS] for row in rows])


async def _endpoints(url: str, tenant: str) -> Sequence[Endpoint]:
    pool = await connect(url, 1)
    try:
        return await PostgresEndpoints(pool).page(tenant, MOST, None, "webhook")
    finally:
        await pool.close()


def _text(value: object) -> object:
    return (", ".join(value) or "all") if isinstance(value, tuple) else value
