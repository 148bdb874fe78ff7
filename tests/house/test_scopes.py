"""Every route needs a scope that exists, every scope opens a route, and the page on keys lists them all.

Whoever adds a route of a new resource adds it to api/scopes.py, and its scopes to domain/accounts/scopes.py and
docs/authentication.md.
"""

import re
from pathlib import Path

import pytest

from api import scopes
from api.middleware import PROTECTED, SIGNED
from domain.accounts.scopes import ADMIN, SCOPES, checked
from domain.errors import InvalidRequest
from tests.api.door import Door

METHODS = ("get", "put", "post", "delete", "patch")


@pytest.fixture
async def routes() -> list[tuple[str, str]]:
    """Methods and paths of all that needs a key, as OpenAPI lists them."""
    async with Door().opened() as door:
        paths = door.app.openapi()["paths"]
    return [
        (method.upper(), path)
        for path, operations in paths.items()
        for method in operations
        if method in METHODS and path.startswith(PROTECTED) and not SIGNED.fullmatch(path)
    ]


async def test_every_route_declares_a_scope_that_exists(routes: list[tuple[str, str]]) -> None:
    assert len(routes) > 50
    undeclared = [route for route in routes if scopes.needed(*route) not in SCOPES.keys() - {ADMIN}]
    assert undeclared == [], __doc__


async def test_every_scope_opens_a_route(routes: list[tuple[str, str]]) -> None:
    assert {scopes.needed(*route) for route in routes} == SCOPES.keys() - {ADMIN}


def test_the_page_lists_every_scope(root: Path) -> None:
    page = (root / "docs" / "authentication.md").read_text()
    assert dict(re.findall(r"^\| `([a-z-]+:\w+|admin)` \| (.+) \|$", page, re.MULTILINE)) == SCOPES


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/new-thing", "/v1/jobs-of-all", "/openai/v1/files", "/openai/v1"])
def test_what_is_not_declared_is_for_admin_only(path: str) -> None:
    everything_else = sorted(SCOPES.keys() - {ADMIN})
    assert scopes.needed("GET", path) == ADMIN
    problem = scopes.objection(everything_else, "GET", path)
    assert problem is not None
    assert problem.status == 403
    assert scopes.objection([ADMIN], "GET", path) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_only_what_reads_is_reading(method: str) -> None:
    needed = "requests:read" if method in ("GET", "HEAD") else "requests:write"
    assert scopes.needed(method, "/v1/jobs/a/result") == needed


def test_a_key_has_scopes_that_exist_and_all_of_them_unless_told() -> None:
    assert checked([]) == (ADMIN,)
    assert checked(["usage:read", "requests:write", "usage:read"]) == ("requests:write", "usage:read")
    with pytest.raises(InvalidRequest, match=r"'request:write'.+requests:write"):
        checked(["request:write"])
