"""`destinations` on a real PostgreSQL."""

import asyncio
import json
import secrets
from datetime import UTC, datetime

import pytest

from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.pool import connect
from domain.webhooks.model import Endpoint, Mark

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("stack")]


def test_destinations_are_listed_shown_and_paused(cli, database_url):
    tenant, now = f"acme-{secrets.token_hex(3)}", datetime.now(UTC)

    async def add() -> None:
        pool = await connect(database_url, 1)
        endpoints = PostgresEndpoints(pool)
        await endpoints.add(Endpoint(tenant, "wh_1", "https://a.example/in", (), b"salt", now))
        await endpoints.mark([Mark(tenant, "wh_1", now, None, now, 404, "")])
        await pool.close()

    asyncio.run(add())
    [row] = json.loads(cli("destinations", "list", "--tenant", tenant, "--json").output)
    assert (row["id"], row["state"], row["waiting"]) == ("wh_1", "failing", 0)
    assert "check the URL" in cli("destinations", "list", "--tenant", tenant).output.replace("\n", " ")
    assert "is paused" in cli("destinations", "pause", "wh_1", "--tenant", tenant).output
    assert json.loads(cli("destinations", "show", "wh_1", "--tenant", tenant).output)["state"] == "paused"
    assert "goes on" in cli("destinations", "resume", "wh_1", "--tenant", tenant).output
    assert cli("destinations", "show", "none", "--tenant", tenant).exit_code == 1
