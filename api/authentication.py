"""Who is calling: from a key to its tenant and limits, with a short memory so that a request rarely asks PostgreSQL."""

import asyncio
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from api.problems import Problem
from domain.accounts import keys
from domain.accounts.limits import Defaults, gates_of, limits_of
from domain.accounts.model import ApiKey, Tenant
from domain.admission.model import Gate, Limit
from domain.ports import Accounts

SCOPE = "structured_prompt.caller"
TTL_S = 4.0  # a revoked key is refused within 5 s, the look-up included
UNKNOWN_TTL_S = 1.0
MAX_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified key; `limits` are those each of its requests must pass, the tenant's first, `gates` those of its calls
    in flight."""

    tenant: Tenant
    key: ApiKey
    limits: tuple[Limit, ...]
    gates: tuple[Gate, ...] = ()


class Keyring:
    """Verifies keys. `clock` gives monotonic seconds; an answer is remembered for TTL_S from before the look-up."""

    def __init__(
        self, accounts: Accounts, pepper: bytes, defaults: Defaults, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._accounts = accounts
        self._pepper = pepper
        self._defaults = defaults
        self._clock = clock
        self._remembered: dict[bytes, tuple[float, Caller | None]] = {}
        self._asked: dict[bytes, asyncio.Task[Caller | None]] = {}

    async def verify(self, secret: str) -> Caller | None:
        """The caller, None for a key that is malformed, unknown or revoked. Raises Unavailable."""
        if not keys.well_formed(secret):
            return None
        digest = keys.digest(self._pepper, secret)
        found = self._remembered.get(digest)
        if found is not None and self._clock() < found[0]:
            return found[1]
        task = self._asked.get(digest)
        if task is None:
            task = self._asked[digest] = asyncio.ensure_future(self._look_up(digest))
            task.add_done_callback(lambda done: self._end(digest, done))
        return await asyncio.shield(task)

    def remembered(self, secret: str) -> Caller | None:
        """The caller, if it was verified within TTL_S. Asks nobody."""
        found = self._remembered.get(keys.digest(self._pepper, secret))
        return found[1] if found is not None and self._clock() < found[0] else None

    def has_seen(self, secret: str) -> bool:
        """Whether this was a good key when it was last looked up, however long ago. Asks nobody."""
        if not keys.well_formed(secret):
            return False
        found = self._remembered.get(keys.digest(self._pepper, secret))
        return found is not None and found[1] is not None

    def _end(self, digest: bytes, task: "asyncio.Task[Caller | None]") -> None:
        self._asked.pop(digest, None)
        if not task.cancelled():
            task.exception()  # those who asked have been told, or have left

    async def _look_up(self, digest: bytes) -> Caller | None:
        asked_at = self._clock()
        caller = await self._caller(digest)
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[digest] = (asked_at + (TTL_S if caller else UNKNOWN_TTL_S), caller)
        return caller

    async def _caller(self, digest: bytes) -> Caller | None:
        key = await self._accounts.key_by_digest(digest)
        if key is None or key.revoked_at is not None or not hmac.compare_digest(key.digest, digest):
            return None
        tenant = await self._accounts.tenant(key.tenant)
        if tenant is None:
            return None
        gates = tuple(gate for gate in gates_of(tenant, key, "") if gate.rejects and gate.places is not None)
        return Caller(tenant, key, limits_of(tenant, key, self._defaults.per_minute, self._defaults.burst), gates)


def secret_of(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The key in `Authorization: Bearer` or `X-API-Key`; None when there is none."""
    for name, value in headers:
        if name == b"x-api-key":
            return value.decode("latin-1").strip()
        if name == b"authorization":
            scheme, _, credentials = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                return credentials.strip()
    return None


def refusal(secret: str | None) -> Problem:
    """401 (RFC 6750): with the reason that helps, never with the key."""
    if secret is None:
        detail = "no API key; send `Authorization: Bearer sp_live_…` or `X-API-Key: sp_live_…`"
    elif not keys.well_formed(secret):
        detail = "the API key is malformed or mistyped (its checksum is wrong); copy it again"
    else:
        detail = "the API key is unknown or revoked"
    error = "" if secret is None else ', error="invalid_token"'
    return Problem("unauthenticated", detail, headers={"www-authenticate": f'Bearer realm="structured-prompt"{error}'})


def caller_of(request: Request) -> Caller:
    """The caller that the door let in."""
    caller: Caller = request.scope[SCOPE]
    return caller
