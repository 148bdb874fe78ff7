"""The values that go into and come out of the audit log. No I/O."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Kind = Literal["key", "command"]
State = Mapping[str, Any] | None
"""How an object stands, without secrets; None where it does not exist."""
SERVICE = ""
"""The tenant of what concerns the service as a whole: no tenant has this name."""
SHORTEST_DAYS = 30
"""Rows that are younger cannot be removed by any statement; the table itself refuses it."""


@dataclass(frozen=True, slots=True)
class Acting:
    """Who makes a change: an API key of `tenant`, or the operator on the command line.

    request_id, address: of the HTTP request; empty for a command.
    """

    kind: Kind
    tenant: str = SERVICE
    key_id: str = ""
    request_id: str = ""
    address: str = ""


COMMAND = Acting("command")
_ACTING: ContextVar[Acting] = ContextVar("acting", default=COMMAND)


def acting() -> Acting:
    """Who makes the changes of this task."""
    return _ACTING.get()


def act_as(who: Acting) -> None:
    """From now on in this task, and in those that it starts."""
    _ACTING.set(who)


@dataclass(frozen=True, slots=True)
class Change:
    """What was changed: `action` as `budget.put`, of the object `type` and `id` of `tenant` (SERVICE: of nobody)."""

    tenant: str
    action: str
    type: str
    id: str
    before: State = None
    after: State = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the log."""

    id: str
    at: datetime
    who: Acting
    change: Change


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows. `tenant` None: those of all, and of the service. since, until: the second excluded."""

    tenant: str | None
    action: str | None = None
    type: str | None = None
    id: str | None = None
    key_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, entry: Entry) -> bool:
        change = entry.change
        pairs = (
            (self.tenant, change.tenant), (self.action, change.action), (self.type, change.type),
            (self.id, change.id), (self.key_id, entry.who.key_id),
        )  # fmt: skip
        named = all(wanted in (None, found) for wanted, found in pairs)
        early = self.since is not None and entry.at < self.since
        return named and not early and (self.until is None or entry.at < self.until)
