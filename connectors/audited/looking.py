"""How objects stand, asked of the ports that change them."""

from collections.abc import Iterable
from typing import Any

from domain.ports import Accounts, Budgets, Endpoints, ExportJobs, ExportSchedules, Schemas, SinkBoard, SourceStore
from domain.trail import shown
from domain.trail.model import State


async def tenant(accounts: Accounts, name: str, _: str) -> State:
    found = await accounts.tenant(name)
    return None if found is None else shown.tenant(found)


async def plan(accounts: Accounts, _: str, name: str) -> State:
    return next((shown.plan(one) for one in await accounts.plans() if one.name == name), None)


async def key(accounts: Accounts, owner: str, id: str) -> State:
    return next((shown.key(one) for one in _of(id, await accounts.keys(owner))), None)


async def budget(budgets: Budgets, owner: str, name: str) -> State:
    standings = await budgets.standings(owner)
    return next((shown.budget(one.budget) for one in standings if one.budget.name == name), None)


async def endpoint(endpoints: Endpoints, owner: str, id: str) -> State:
    found = await endpoints.get(owner, id)
    return None if found is None else shown.endpoint(found)


async def job(jobs: ExportJobs, owner: str, id: str) -> State:
    found = await jobs.get(owner, id)
    return None if found is None else shown.job(found)


async def schedule(schedules: ExportSchedules, owner: str, name: str) -> State:
    return next((shown.schedule(one) for one in await schedules.listing(owner) if one.name == name), None)


async def sink(board: SinkBoard, _: str, name: str) -> State:
    return next((shown.orders(one.orders) for one in await board.look() if one.name == name), None)


async def source(store: SourceStore, _: str, name: str) -> State:
    return next((shown.source(one) for one in await store.all() if one.name == name), None)


async def schema(schemas: Schemas, owner: str, name: str) -> State:
    found = await schemas.get(owner, name)
    return None if found is None else shown.schema(found)


def _of(id: str, found: Iterable[Any]) -> Iterable[Any]:
    return (one for one in found if one.id == id)
