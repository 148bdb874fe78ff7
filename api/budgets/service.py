"""Budgets of one tenant."""

from typing import Any, TypeVar

import orjson
import uuid_utils
from pydantic import BaseModel, TypeAdapter, ValidationError

from api.budget_schemas import BudgetFields, BudgetName, NewBudget
from api.problems import Problem
from api.within import LEDGER, PATIENCE_S, within
from domain.budgets.model import Budget
from domain.budgets.view import shown
from domain.errors import Problem as Reason
from domain.ports import Budgets
from topics import codec

_NAME = TypeAdapter(BudgetName)
Fields = TypeVar("Fields", bound=BaseModel)


class BudgetKeeper:
    """Raises Problem: invalid_request, not_found, exists, unavailable when PostgreSQL does not answer."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets

    async def page(self, tenant: str) -> bytes:
        """The body of the answer: a tenant has few, and one page holds them all."""
        return orjson.dumps({"items": await self._all(tenant), "next_cursor": None})

    async def one(self, tenant: str, name: str) -> bytes:
        found = next((row for row in await self._all(tenant) if row["name"] == name), None)
        if found is None:
            raise _missing(name)
        return orjson.dumps(found)

    async def create(self, tenant: str, body: bytes) -> bytes:
        fields = _read(NewBudget, body)
        name = fields.name or f"budget-{uuid_utils.uuid7().hex[-12:]}"
        if any(row["name"] == name for row in await self._all(tenant)):
            reason = Reason("/name", "is taken; PUT /v1/budgets/{name} changes it")
            raise Problem("exists", f"there is a budget {name!r} already; nothing was changed", (reason,))
        await self._put(tenant, name, fields)
        return await self.one(tenant, name)

    async def put(self, tenant: str, name: str, body: bytes) -> tuple[bytes, bool]:
        """The budget, and whether it is new."""
        try:
            _NAME.validate_python(name)
        except ValidationError:
            reason = Reason("/path/name", "at most 64 letters, digits, '.', '_' and '-', the first no sign")
            raise Problem("invalid_request", "the name cannot be used", (reason,)) from None
        made = await self._put(tenant, name, _read(BudgetFields, body))
        return await self.one(tenant, name), made

    async def delete(self, tenant: str, name: str) -> None:
        if not await within(self._budgets.delete(tenant, name), PATIENCE_S, LEDGER):
            raise _missing(name)

    async def _put(self, tenant: str, name: str, fields: BudgetFields) -> bool:
        budget = Budget(
            tenant, name, fields.limit_usd, fields.period, fields.api_key_id, fields.template, fields.model
        )  # fmt: skip
        return await within(self._budgets.put(budget), PATIENCE_S, LEDGER)

    async def _all(self, tenant: str) -> list[dict[str, Any]]:
        return [shown(one) for one in await within(self._budgets.standings(tenant), PATIENCE_S, LEDGER)]


def _read(model: type[Fields], body: bytes) -> Fields:
    try:
        return model.model_validate(codec.read_object(body))
    except codec.Unreadable as error:
        raise Problem("invalid_request", error.reason) from None
    except ValidationError as error:
        reasons = tuple(Reason("".join(f"/{step}" for step in e["loc"]), e["msg"]) for e in error.errors())
        detail = "; ".join(f"{reason.path}: {reason.message}" for reason in reasons[:3])
        raise Problem("invalid_request", detail, reasons) from None


def _missing(name: str) -> Problem:
    return Problem("not_found", f"no budget has the name {name[:64]!r}; GET /v1/budgets lists them")
