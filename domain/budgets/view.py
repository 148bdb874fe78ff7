"""How a budget is shown, over HTTP and by the command line."""

from typing import Any

from domain.budgets.model import Standing
from topics.base import format_money, format_time


def shown(standing: Standing) -> dict[str, Any]:
    """Money as decimal text; what was spent, what is reserved by calls under way, and what is left."""
    budget = standing.budget
    return {
        "name": budget.name,
        "limit_usd": format_money(budget.limit_usd),
        "period": budget.period,
        "api_key_id": budget.api_key_id,
        "template": budget.template,
        "model": budget.model,
        "period_start": format_time(standing.start),
        "period_end": format_time(standing.end),
        "spent_usd": format_money(standing.spent_usd),
        "reserved_usd": format_money(standing.held_usd),
        "remaining_usd": format_money(standing.left_usd),
        "created_at": format_time(standing.created_at),
    }
