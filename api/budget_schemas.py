"""What a budget is made with."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

BudgetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Limit = Annotated[Decimal, Field(ge=0, le=1_000_000_000, decimal_places=9, description="US dollars, as text.")]
_MODEL = "`provider/model`, `provider/*`, or the alias that requests name."


class BudgetFields(BaseModel):
    """How much may be spent in each hour, day or month (UTC). What is left out matches every call of the tenant."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    limit_usd: Limit
    period: Literal["hour", "day", "month"] = "month"
    api_key_id: Annotated[str, Field(min_length=1, max_length=64, description="`key_…`")] | None = None
    template: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    model: Annotated[str, Field(min_length=1, max_length=255, description=_MODEL)] | None = None


class NewBudget(BudgetFields):
    """A budget with its name, which is made up where it is left out."""

    name: BudgetName | None = None
