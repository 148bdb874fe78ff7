"""Whom the audit log names for what a route changes: the routers of resources that can be changed say `AS_CALLER`."""

from fastapi import Depends
from starlette.requests import Request

from api.authentication import SCOPE, Caller
from api.refusing import REQUEST_ID
from api.shield.peers import CLIENT
from domain.trail.model import Acting, act_as


async def _as_caller(request: Request) -> None:
    """Not of a route that takes a signature in the place of a key: it changes nothing that is audited."""
    caller: Caller | None = request.scope.get(SCOPE)
    if caller is not None:
        address = request.scope[CLIENT].address
        act_as(Acting("key", caller.tenant.name, caller.key.id, request.scope[REQUEST_ID], address))


AS_CALLER = [Depends(_as_caller)]
