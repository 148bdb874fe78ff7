"""The ten queries of docs/queries.md, on the real engine with a day's rows in it."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import apply
from connectors.clickhouse.sink import ClickHouseSink
from tests.contract.messages import call, result

pytestmark = pytest.mark.integration
QUERIES = re.findall(
    r"^## \d+ · (.+?)\n```sql\n(.+?)```", (Path(__file__).parents[2] / "docs/queries.md").read_text(), re.S | re.M
)


@pytest.fixture
async def clickhouse(clickhouse_url: str) -> AsyncIterator[ClickHouse]:
    now = datetime.now(UTC)
    error = {"code": "provider_error", "message": "openai answered 500", "retryable": True}
    async with ClickHouse(clickhouse_url) as client:
        await apply(client)
        rows = [
            result("a", completed_at=now, submitted_at=now),
            result("b", completed_at=now, submitted_at=now, status="failed", output=None, error=error),
            call("a", at=now),
            call("b", at=now, outcome="error"),
        ]
        assert await ClickHouseSink(client).write(rows) == []
        yield client


def test_there_are_ten() -> None:
    assert len(QUERIES) == 10


async def test_each_of_them_answers(clickhouse: ClickHouse) -> None:
    for title, sql in QUERIES:
        assert await clickhouse.select(sql, {}), title
