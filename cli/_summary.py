"""What became of a file that was submitted."""

import json
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cli._output import print_error
from cli._rows import Refusal
from topics.base import format_money

SHOWN = 20


@dataclass(slots=True)
class Summary:
    """reasons: why requests did not complete, (code, message) -> how many, and the id of the first."""

    rows: int = 0
    sent: int = 0
    refused: list[Refusal] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    reasons: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    unanswered: int = 0
    cost_usd: Decimal = Decimal(0)

    def take(self, row: dict[str, Any]) -> None:
        """Count a result or a dead letter."""
        self.ended[row.get("status") or "dead_lettered"] += 1
        self.cost_usd += Decimal(row["usage"]["cost_usd"]) if "usage" in row else 0
        error = row.get("error") or ({"code": row["code"], "message": row["reason"]} if "code" in row else None)
        if error:
            reason = error["code"], error["message"]
            count, first = self.reasons.get(reason, (0, row["id"]))
            self.reasons[reason] = count + 1, first

    @property
    def well(self) -> bool:
        return not self.refused and not self.unanswered and set(self.ended) <= {"completed"}

    def told(self, waits: bool, seconds: float, *, as_json: bool) -> str:
        """One line, or JSON."""
        said: dict[str, object] = {"sent": self.sent, "refused": len(self.refused)}
        if waits:
            said |= {**self.ended, "unanswered": self.unanswered, "cost_usd": format_money(self.cost_usd)}
        if as_json:
            return json.dumps(said)
        return f"{', '.join(f'{name} {value}' for name, value in said.items())} in {seconds:.1f} s"

    def complain(self) -> None:
        """Of rows that were not sent, and of requests that did not complete."""
        for refusal in self.refused[:SHOWN]:
            print_error(f"line {refusal.line}: {refusal.reason}")
        if len(self.refused) > SHOWN:
            print_error(f"and {len(self.refused) - SHOWN} more rows that are no requests")
        for (code, message), (count, first) in list(self.reasons.items())[:SHOWN]:
            others = f" and {count - 1} more" if count > 1 else ""
            print_error(f"{first}{others}: {code}: {message}")
        if len(self.reasons) > SHOWN:
            print_error(f"and {len(self.reasons) - SHOWN} more reasons; --output FILE keeps all of them")
