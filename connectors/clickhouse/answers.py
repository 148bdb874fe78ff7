"""Which tenants' answers are kept in results.output; all others' stay out of ClickHouse."""

import orjson

from connectors.clickhouse.client import ClickHouse


async def store_answers(clickhouse: ClickHouse, tenant: str, stored: bool) -> None:
    """From the next row on. What is stored already stays. Raises Unavailable."""
    await clickhouse.insert("answer_tenants", orjson.dumps({"tenant": tenant, "stored": stored}))
