"""Memory for bodies that are on their way. Plain ASGI, as api/middleware.py.

A body is a mebibyte at most, and connections are thousands: whoever has a key could have all of them hold a body whose
last byte does not come. So the bytes that were announced are counted until a body is there, of each caller and of all.

To read one takes up to some 30 ms, in which nobody else is served: so they are handed on in turns.
"""

from collections import Counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.authentication import SCOPE
from api.problems import Problem
from api.refusing import DISCARDS, discard
from api.shield.turns import Turns
from api.within import GIVE_UP_AT

SMALL: Final = 16 * 1024
"""Bodies that are not counted: their connection costs about as much."""
RETRY_S = 1.0
_STRANGERS = ""
"""Whoever needs no key, all together: a part of their own, so that they take no room from those who have one."""


class Bodies:
    """`most` bytes may be on their way at once, `share` of them to one tenant; a body has `largest` at most."""

    def __init__(self, most: int, share: int, largest: int) -> None:
        self._most = most
        self._share = share
        self._largest = largest
        self._lent: Counter[str] = Counter()
        self.turns = Turns()

    @property
    def lent(self) -> int:
        return self._lent.total()

    def size(self, method: str, announced: int | None) -> int:
        """How many bytes may come; 0 where they are too few to count."""
        if announced is None:
            return self._largest if method in ("POST", "PUT", "PATCH") else 0
        return announced if announced > SMALL else 0

    def lend(self, caller: str, size: int) -> None:
        """Raises Problem (rate_limited, unavailable) where there is no room."""
        if self._lent[caller] + size > self._share:
            detail = f"bodies of {self._lent[caller]} bytes are on their way already: send fewer at once"
            raise Problem("rate_limited", detail, headers=problems.retry_header(RETRY_S))
        if caller != _STRANGERS and self.lent - self._lent[_STRANGERS] + size > self._most:
            raise problems.unavailable("too many bodies are on their way; try again", RETRY_S)
        self._lent[caller] += size

    def end(self, caller: str, size: int) -> None:
        self._lent[caller] -= size
        if self._lent[caller] <= 0:
            del self._lent[caller]


async def counted(app: ASGIApp, bodies: Bodies, size: int, scope: Scope, receive: Receive, send: Send) -> None:
    """The application, whose first look at the body borrows `size` bytes until it is there, or nobody waits for it."""
    caller: str | None = None

    def end() -> None:
        nonlocal caller, size
        if caller is not None:
            bodies.end(caller, size)
        caller, size = None, 0

    async def lent() -> Message:
        nonlocal caller
        if caller is None and size and DISCARDS not in scope:
            known = scope.get(SCOPE)
            wanted = _STRANGERS if known is None else known.tenant.name
            try:
                bodies.lend(wanted, size)
            except Problem:
                await discard(scope, receive)
                raise
            caller = wanted
        message = await receive()
        if not message.get("more_body", False):
            if caller is not None:
                scope[GIVE_UP_AT] += await bodies.turns.next()
            end()
        return message

    try:
        await app(scope, lent, send)
    finally:
        end()
