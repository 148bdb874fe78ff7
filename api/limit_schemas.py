"""What limits are set with."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from domain.accounts.model import Allowance

_Rate = Annotated[int, Field(ge=1, le=1_000_000_000)]
_Flights = Annotated[int, Field(ge=1, le=1_000_000)]


NAME_OF_PLAN = re.compile(r"[A-Za-z0-9._-]{1,64}")


class LimitFields(BaseModel):
    """Requests and tokens a minute, how many of each at once (as many as a minute's unless given), calls in flight."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: _Rate | None = None
    burst: _Rate | None = None
    tokens_per_minute: _Rate | None = None
    token_burst: _Rate | None = None
    concurrency: _Flights | None = None

    @property
    def allowance(self) -> Allowance:
        rates = (self.requests_per_minute, self.burst, self.tokens_per_minute, self.token_burst)
        return Allowance(*rates, self.concurrency)


class TenantLimits(LimitFields):
    """The same of a tenant, and the plan that says what it does not: GET /v1/limits/plans names them."""

    plan: Annotated[str, Field(min_length=1, max_length=64)] | None = None
