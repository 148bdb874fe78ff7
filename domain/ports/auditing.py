"""The two sides of the bill."""

from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from domain.auditing.model import Key, Line


class Books(Protocol):
    """The ledger's attempts of all tenants, page by page. For the operator's audit only."""

    async def page(self, after: Key, since: date, before: datetime, limit: int) -> list[Line]:
        """Attempts behind `after` in the order of their keys, of requests claimed on `since` or later.

        Those whose request was over and produced by `before` are due. Raises Unavailable.
        """
        ...


class Bill(Protocol):
    """What the analyst has of the same attempts."""

    async def costs(self, first: Key, last: Key, since: date) -> dict[Key, Decimal]:
        """Dollars by attempt, of those from `first` to `last`, both included, sent on `since` or later."""
        ...
