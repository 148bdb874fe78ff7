"""Sets the limits of tenants, for operators, and of keys, for whoever has a key that is not limited itself.

One that is may only narrow its own limits: what an operator or another key set, it cannot lift.
"""

from dataclasses import asdict

import orjson

from api.authentication import Caller
from api.bodies import read
from api.limit_schemas import LimitFields, TenantLimits
from api.problems import Problem
from api.within import PATIENCE_S, within
from domain.accounts.limits import narrows
from domain.accounts.model import Allowance, ApiKey, Tenant
from domain.errors import Problem as Reason
from domain.ports import Accounts
from topics.base import format_time

ACCOUNTS = "the database of accounts"
UNLIMITED = Allowance()


class LimitKeeper:
    """Answers are bytes of a body. Raises Problem: not_found, forbidden, invalid_request, unavailable."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def keys(self, tenant: str) -> bytes:
        """A tenant has few keys, and one page holds them all."""
        found = await within(self._accounts.keys(tenant), PATIENCE_S, ACCOUNTS)
        return orjson.dumps({"items": [_key(one) for one in found], "next_cursor": None})

    async def key(self, tenant: str, id: str) -> bytes:
        found = await within(self._accounts.keys(tenant), PATIENCE_S, ACCOUNTS)
        for one in found:
            if one.id == id:
                return orjson.dumps(_key(one))
        raise Problem("not_found", f"there is no key {id[:64]!r}; GET /v1/limits/keys lists them")

    async def limit_key(self, caller: Caller, id: str, body: bytes) -> bytes:
        await self._limit_key(caller, id, read(LimitFields, body).allowance)
        return await self.key(caller.tenant.name, id)

    async def free_key(self, caller: Caller, id: str) -> None:
        await self._limit_key(caller, id, UNLIMITED)

    async def tenant(self, name: str) -> bytes:
        found = await within(self._accounts.tenant(name), PATIENCE_S, ACCOUNTS)
        if found is None:
            raise Problem("not_found", f"there is no tenant {name[:64]!r}")
        return orjson.dumps(_tenant(found))

    async def limit_tenant(self, name: str, body: bytes) -> bytes:
        fields = read(TenantLimits, body)
        await self._limit_tenant(name, fields.allowance, fields.plan)
        return await self.tenant(name)

    async def free_tenant(self, name: str) -> None:
        await self._limit_tenant(name, UNLIMITED, None)

    async def _limit_key(self, caller: Caller, id: str, allowance: Allowance) -> None:
        # as it is now: who calls is remembered for some seconds
        found = await within(self._accounts.keys(caller.tenant.name), PATIENCE_S, ACCOUNTS)
        own = next((one.allowance for one in found if one.id == caller.key.id), UNLIMITED)
        if own != UNLIMITED and not (id == caller.key.id and narrows(own, allowance)):
            reason = "this key has limits of its own: it may make them narrower, and change no others"
            remedy = "use a key of the tenant that has none, or let the operator run `structured-prompt keys limit`"
            raise Problem("forbidden", f"{reason}; {remedy}")
        if not await within(self._accounts.limit_key(caller.tenant.name, id, allowance), PATIENCE_S, ACCOUNTS):
            raise Problem("not_found", f"there is no key {id[:64]!r}; GET /v1/limits/keys lists them")

    async def _limit_tenant(self, name: str, allowance: Allowance, plan: str | None) -> None:
        if plan is not None:
            plans = {one.name for one in await within(self._accounts.plans(), PATIENCE_S, ACCOUNTS)}
            if plan not in plans:
                known = ", ".join(sorted(plans)) or "none yet; PUT /v1/limits/plans/{name} makes one"
                reason = Reason("/plan", f"there is no such plan; there are: {known}")
                raise Problem("invalid_request", f"there is no plan {plan!r}", (reason,))
        if not await within(self._accounts.limit_tenant(name, allowance, plan), PATIENCE_S, ACCOUNTS):
            raise Problem("not_found", f"there is no tenant {name[:64]!r}")


def _key(key: ApiKey) -> dict[str, object]:
    revoked = None if key.revoked_at is None else format_time(key.revoked_at)
    return {"id": key.id, "name": key.name, "revoked_at": revoked, **asdict(key.allowance)}


def _tenant(tenant: Tenant) -> dict[str, object]:
    """Its own limits, and those that hold, its plan's where it has none. None there: the settings', or no limit."""
    own = {name: getattr(tenant, name) for name in asdict(UNLIMITED)}
    return {"name": tenant.name, "plan": tenant.plan, **own, "holds": asdict(tenant.allowance)}
