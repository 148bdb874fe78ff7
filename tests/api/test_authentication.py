"""Who may come in."""

from dataclasses import replace

import httpx
import pytest

from api.authentication import Caller, Keyring
from api.middleware import PROTECTED
from connectors.memory.accounts import MemoryAccounts
from domain.accounts import keys
from domain.accounts.limits import Defaults
from domain.accounts.model import ApiKey, Tenant
from domain.errors import Unavailable
from tests.api.door import ASK, PEPPER, Door, assert_problem, utc_now

PUBLIC = {
    "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/asyncapi.json", "/.well-known/security.txt",
}  # fmt: skip


class CountingAccounts(MemoryAccounts):
    """Counts look-ups, and stumbles when told to."""

    def __init__(self, tenants: list[Tenant], stored: list[ApiKey]) -> None:
        super().__init__(tenants, stored)
        self.looked_up = 0
        self.down = False

    async def key_by_digest(self, digest: bytes) -> ApiKey | None:
        self.looked_up += 1
        if self.down:
            raise Unavailable("PostgreSQL at db.internal:5432 does not answer")
        return await super().key_by_digest(digest)


@pytest.fixture
def issued() -> keys.Issued:
    return keys.issue("acme", "test", PEPPER, utc_now())


class Ringing:
    """A keyring with a clock of its own."""

    def __init__(self, issued: keys.Issued) -> None:
        self.now = 0.0
        self.accounts = CountingAccounts([Tenant("acme")], [issued.key])
        self.ring = Keyring(self.accounts, PEPPER, Defaults(600, 60), lambda: self.now)


@pytest.fixture
def ringing(issued: keys.Issued) -> Ringing:
    return Ringing(issued)


async def test_both_headers_carry_a_key(door: Door) -> None:
    assert (await door.strangers.get("/v1/models", headers=door.bearer())).status_code == 200
    assert (await door.strangers.get("/v1/models", headers={"X-API-Key": door.issued.secret})).status_code == 200
    lower = {"authorization": f"bearer {door.issued.secret}"}
    assert (await door.strangers.get("/v1/models", headers=lower)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "no API key"),
        ({"authorization": "Basic YTpi"}, "no API key"),
        ({"authorization": "Bearer "}, "malformed"),
        ({"authorization": "Bearer sp_live_tooshort"}, "malformed"),
        ({"authorization": "Bearer sp_live_" + "0" * 33}, "malformed"),
        ({"authorization": f"Bearer {keys.generate()}"}, "unknown or revoked"),
    ],
)
async def test_without_a_good_key_it_is_a_401(door: Door, headers: dict[str, str], detail: str) -> None:
    response = await door.strangers.post("/v1/analyze", json=ASK, headers=headers)
    assert detail in assert_problem(response, 401, "unauthenticated")["detail"]
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert door.produced() == []


async def test_a_suspended_tenant_is_a_403(door: Door) -> None:
    assert_problem(await door.client.get("/v1/jobs", headers=door.bearer(door.asleep)), 403, "forbidden")


async def test_every_route_is_protected_or_known_to_be_public(door: Door) -> None:
    paths = set(door.app.openapi()["paths"]) | {"/docs", "/openapi.json"}
    assert {path for path in paths if not path.startswith(PROTECTED)} <= PUBLIC


async def test_another_tenants_job_is_not_there(door: Door) -> None:
    await door.ask({**ASK, "id": "a"})
    response: httpx.Response = await door.client.get("/v1/jobs/a", headers=door.bearer(door.other))
    assert_problem(response, 404, "not_found")
    assert (await door.client.get("/v1/jobs", headers=door.bearer(door.other))).json()["items"] == []


async def test_a_wrong_checksum_never_reaches_the_accounts(ringing: Ringing, issued: keys.Issued) -> None:
    wrong = issued.secret[:-1] + ("0" if issued.secret[-1] != "0" else "1")
    assert await ringing.ring.verify(wrong) is None
    assert ringing.accounts.looked_up == 0


async def test_a_key_is_looked_up_once_in_a_while(ringing: Ringing, issued: keys.Issued) -> None:
    for _ in range(10):
        caller = await ringing.ring.verify(issued.secret)
        assert isinstance(caller, Caller)
    assert ringing.accounts.looked_up == 1


async def test_a_revoked_key_is_refused_within_5_seconds(ringing: Ringing, issued: keys.Issued) -> None:
    assert await ringing.ring.verify(issued.secret)
    await ringing.accounts.revoke_key("acme", issued.key.id, utc_now())
    ringing.now = 5.0
    assert await ringing.ring.verify(issued.secret) is None


async def test_a_failed_look_up_is_not_remembered(ringing: Ringing, issued: keys.Issued) -> None:
    ringing.accounts.down = True
    with pytest.raises(Unavailable):
        await ringing.ring.verify(issued.secret)
    ringing.accounts.down = False
    assert await ringing.ring.verify(issued.secret)


async def test_accounts_that_do_not_answer_are_a_503_that_names_no_host() -> None:
    door = Door()
    accounts = CountingAccounts([Tenant("acme")], [door.issued.key])
    accounts.down = True
    door.ports = replace(door.ports, accounts=accounts)
    async with door.opened():
        response = await door.ask()
    assert_problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "1"
    assert "db.internal" not in response.text
