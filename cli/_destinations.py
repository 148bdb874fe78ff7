"""What `destinations` does."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from cli._output import print_json, print_table
from cli._stack import Stack
from cli._target import find
from connectors.audited.postgres import Repositories
from connectors.postgres.deliveries import PostgresDeliveries
from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.pool import Pool, connect
from domain.errors import Conflict
from domain.webhooks.model import Change, Endpoint, Queued
from domain.webhooks.view import destination

T = TypeVar("T")
COLUMNS = ("id", "kind", "url", "state", "waiting", "oldest_waiting_since", "last_success_at", "last_error")
MOST, COUNTED = 1_000, 100_000


def listing(stack: Stack, tenant: str | None, as_json: bool) -> None:
    """Newest first; no secret is shown."""
    rows = _with_pool(stack, tenant, _all)
    if as_json:
        print_json(rows)
    else:
        print_table(COLUMNS, [[_text(row[name]) for name in COLUMNS] for row in rows])


def show(stack: Stack, tenant: str | None, id: str) -> None:
    """Raises Conflict when there is none."""

    async def one(pool: Pool, owner: str) -> Mapping[str, Any]:
        found = await PostgresEndpoints(pool).get(owner, id)
        return (await _shown(pool, owner, [_there(found, id)]))[0]

    print_json(_with_pool(stack, tenant, one))


def pause(stack: Stack, tenant: str | None, id: str, paused: bool) -> None:
    """Raises Conflict when there is none."""

    async def change(pool: Pool, owner: str) -> None:
        _there(await Repositories(pool).endpoints.change(owner, id, Change(paused=paused)), id)

    _with_pool(stack, tenant, change)
    print(f"{id} is paused" if paused else f"{id} goes on")


async def _all(pool: Pool, tenant: str) -> list[Mapping[str, Any]]:
    return await _shown(pool, tenant, await PostgresEndpoints(pool).page(tenant, MOST, None))


async def _shown(pool: Pool, tenant: str, found: Sequence[Endpoint]) -> list[Mapping[str, Any]]:
    queued = await PostgresDeliveries(pool).queued(tenant, [one.id for one in found], COUNTED)
    return [destination(one, queued.get(one.id, Queued())) for one in found]


def _there(found: Endpoint | None, id: str) -> Endpoint:
    if found is None:
        raise Conflict(f"the tenant has no destination {id!r}; `structured-prompt destinations list` shows them")
    return found


def _with_pool(stack: Stack, tenant: str | None, work: Callable[[Pool, str], Awaitable[T]]) -> T:
    target = find(stack)

    async def run() -> T:
        pool = await connect(target.settings.database_url.get_secret_value(), 1)
        try:
            return await work(pool, target.tenant_or(tenant))
        finally:
            await pool.close()

    return asyncio.run(run())


def _text(value: object) -> object:
    return f"{value['what']}: {value['remedy']}" if isinstance(value, dict) else value
