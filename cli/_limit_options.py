"""The options that set limits, of plans, tenants and keys alike."""

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from domain.accounts.model import Allowance

_Rate = Annotated[int | None, typer.Option(min=1, help="Requests a minute.")]
_Burst = Annotated[int | None, typer.Option(min=1, help="Requests at once; as many as a minute's unless given.")]
_Tokens = Annotated[int | None, typer.Option(min=1, help="Tokens a minute, of prompts and answers.")]
_TokenBurst = Annotated[int | None, typer.Option(min=1, help="Tokens at once; as many as a minute's unless given.")]
_Flights = Annotated[int | None, typer.Option(min=1, help="Calls in flight at once.")]


@dataclass(frozen=True)
class LimitOptions:
    """What is not given stays as it is, or as the plan or the settings have it."""

    requests_per_minute: _Rate = None
    burst: _Burst = None
    tokens_per_minute: _Tokens = None
    token_burst: _TokenBurst = None
    concurrency: _Flights = None

    def over(self, before: Allowance) -> Allowance:
        """`before` with what was given."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return Allowance(**{**asdict(before), **given})
