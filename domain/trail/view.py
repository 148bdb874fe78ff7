"""A row of the audit log, over HTTP and on the command line."""

from typing import Any

from domain.trail.model import SERVICE, Entry
from topics.base import format_time


def shown(entry: Entry, *, whole: bool) -> dict[str, Any]:
    """`whole` for operators: a tenant sees that an operator changed something of its, and not from where."""
    who, change = entry.who, entry.change
    own = who.kind == "key" and who.tenant == change.tenant
    known = own or whole
    return {
        "id": entry.id,
        "at": format_time(entry.at),
        "tenant": None if change.tenant == SERVICE else change.tenant,
        "actor": {"kind": "key" if own else "operator", "key_id": (who.key_id or None) if known else None},
        "action": change.action,
        "object": {"type": change.type, "id": change.id},
        "before": change.before,
        "after": change.after,
        "request_id": (who.request_id or None) if known else None,
        "address": (who.address or None) if known else None,
    }
