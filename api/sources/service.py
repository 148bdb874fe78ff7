"""Events that others push, signed: each becomes a request of its source's tenant, through the door that all use."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime

import orjson
from starlette.responses import Response

from api.analyze.service import Analyze, Patience
from api.analyze.submission import Ask
from api.authentication import TTL_S, Caller
from api.problems import Problem
from api.sources.book import SourceBook
from domain.accounts.limits import Defaults, limits_of
from domain.accounts.model import ApiKey, Tenant
from domain.errors import Problem as Reason
from domain.ports import Accounts
from domain.sources.mapping import Unmappable
from domain.sources.model import Source, encoded
from domain.sources.signature import objection


class SourceEvents:
    """`now` is the clock that signatures are held against."""

    def __init__(
        self,
        book: SourceBook,
        accounts: Accounts,
        analyze: Analyze,
        defaults: Defaults,
        now: Callable[[], datetime],
    ) -> None:
        self._book = book
        self._accounts = accounts
        self._analyze = analyze
        self._defaults = defaults
        self._now = now
        self._callers: dict[str, tuple[float, Caller]] = {}

    async def take(
        self, name: str, headers: Mapping[str, str], body: bytes, traceparent: str, give_up: float
    ) -> Response:
        """202 when it is with the broker, or was before. Raises Problem and Unavailable."""
        source = await self._book.find(name)
        if source is None or not source.secrets or source.tenant is None:
            raise Problem(
                "not_found", f"no source {name[:100]!r} takes webhooks; `GET /v1/sources` lists them for operators"
            )
        if (reason := objection(headers, body, source.secrets, self._now())) is not None:
            raise Problem("unauthenticated", reason)
        record = _request(source, headers["webhook-id"], body)
        caller = await self._caller(source.tenant)
        return await self._analyze.asynchronous(Ask(caller, record, False, traceparent, signed=True), Patience(give_up))

    async def _caller(self, tenant: str) -> Caller:
        known = self._callers.get(tenant)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        asked_at = time.monotonic()
        found = await self._accounts.tenant(tenant)
        if found is None or not found.active:
            raise Problem("forbidden", f"the source's tenant {tenant!r} is suspended, or was never created")
        caller = self._as_caller(found)
        self._callers[tenant] = (asked_at + TTL_S, caller)
        return caller

    def _as_caller(self, tenant: Tenant) -> Caller:
        """The signature is the key. It has a name that no key of ours can have, and no limits of its own."""
        key = ApiKey(f"source of {tenant.name}", tenant.name, "source", b"", "", self._now())
        return Caller(tenant, key, limits_of(tenant, key, self._defaults.per_minute, self._defaults.burst))


def _request(source: Source, id: str, body: bytes) -> bytes:
    try:
        return encoded(source.request(orjson.loads(body), id))
    except orjson.JSONDecodeError:
        raise Problem("invalid_request", "the event is not JSON") from None
    except Unmappable as error:
        place, _, said = str(error).partition(": ")
        reasons = (Reason(place, said),) if place.startswith("/") else ()
        raise Problem("invalid_request", f"the event cannot be mapped to a request: {error}", reasons) from None
