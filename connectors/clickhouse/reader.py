"""Usage out of ClickHouse. SQL stands in queries/; what varies is bound, never pasted."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from connectors.clickhouse.client import ClickHouse, as_parameter
from domain.caching.use import CacheUse
from domain.usage import DIMENSIONS, MEASURES, check_dimensions


class ClickHouseUsage:
    """Implements domain.ports.UsageReader over an open client."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def usage(self, tenant: str | None, by: Sequence[str], since: datetime) -> list[dict[str, Any]]:
        """Rows with the dimensions `by` and MEASURES, most expensive first within an hour or day.

        `hour` is a datetime in UTC, `day` a date, `tags` a dict, `cost_usd` a Decimal of dollars; a dimension that a
        row has no value for is None. Raises InvalidRequest for an unknown dimension, Unavailable.
        """
        wanted = check_dimensions(by)
        parameters = {
            "tenant": tenant or "",
            "every_tenant": _flag(tenant is None),
            "since": as_parameter(since),
            **{f"by_{name}": _flag(name in wanted) for name in DIMENSIONS},
        }
        rows = await self._clickhouse.select(_query("usage"), parameters)
        return [_row(row, wanted) for row in rows]

    async def cache(self, tenant: str, since: datetime) -> list[CacheUse]:
        """Raises Unavailable."""
        rows = await self._clickhouse.select(_query("cache"), {"tenant": tenant, "since": as_parameter(since)})
        return [
            CacheUse(**{**row, "template": row["template"] or None, "saved_usd": Decimal(row["saved_usd"])})
            for row in rows
        ]


@cache
def _query(name: str) -> str:
    return files("connectors.clickhouse").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _row(row: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    measures = {name: row[name] for name in MEASURES}
    dimensions = {name: _dimension(name, row[f"by_{name}"]) for name in wanted}
    return {**dimensions, **measures, "cost_usd": Decimal(row["cost_usd"])}


def _dimension(name: str, value: Any) -> Any:
    if name == "hour":
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    if name == "day":
        return date.fromisoformat(value)
    return value if name == "tags" else value or None
