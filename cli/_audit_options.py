"""Options of `audit`."""

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class AuditOptions:
    """Which rows."""

    tenant: Annotated[str | None, typer.Option(help="Of this tenant; of all and of the service unless given.")] = None
    action: Annotated[str | None, typer.Option(help="Only this, as budget.put.")] = None
    type: Annotated[str | None, typer.Option(help="Only objects of this type, as budget.")] = None
    id: Annotated[str | None, typer.Option(help="Only the object with this id or name.")] = None
    key: Annotated[str | None, typer.Option(help="Only what was done with this key: key_…")] = None
    since: Annotated[str | None, typer.Option(help="30m, 24h, 7d, or an RFC 3339 time.")] = None
    until: Annotated[str | None, typer.Option(help="The same; excluded.")] = None
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 50
