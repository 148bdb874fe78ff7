"""`webhooks` on a real PostgreSQL."""

import asyncio
import json
import secrets
from datetime import UTC, datetime

import pytest

from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.pool import connect
from domain.webhooks.model import Endpoint

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("stack")]


def test_the_endpoints_of_a_tenant_are_listed_without_their_secrets(cli, database_url):
    tenant = f"acme-{secrets.token_hex(3)}"
    one = Endpoint(tenant, "wh_1", "https://a.example/in", ("request.completed",), b"salt", datetime.now(UTC))

    async def add() -> None:
        pool = await connect(database_url, 1)
        await PostgresEndpoints(pool).add(one)
        await pool.close()

    asyncio.run(add())
    [row] = json.loads(cli("webhooks", "list", "--tenant", tenant, "--json").output)
    assert (row["id"], row["url"], row["events"], row["enabled"]) == ("wh_1", one.url, ["request.completed"], True)
    assert "salt" not in str(row)
    assert "request.completed" in cli("webhooks", "list", "--tenant", tenant).output
    assert json.loads(cli("webhooks", "list", "--tenant", "nobody", "--json").output) == []
