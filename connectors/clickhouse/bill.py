"""What attempts are billed with, out of ClickHouse: the audit's other side."""

from datetime import date
from decimal import Decimal
from importlib.resources import files

from connectors.clickhouse.client import ClickHouse
from domain.auditing.model import Key

_SQL = files("connectors.clickhouse").joinpath("queries", "bill.sql").read_text(encoding="utf-8")


class ClickHouseBill:
    """Implements domain.ports.Bill over an open client."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def costs(self, first: Key, last: Key, since: date) -> dict[Key, Decimal]:
        bounds = {
            f"{place}_{name}": str(value)
            for place, key in (("first", first), ("last", last))
            for name, value in key._asdict().items()
        }
        rows = await self._clickhouse.select(_SQL, {**bounds, "since": since.isoformat()})
        return {Key(row["tenant"], row["id"], row["run"], row["attempt"]): Decimal(row["usd"]) for row in rows}
