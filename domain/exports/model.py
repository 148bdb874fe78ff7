"""An export: which results of a tenant, which of their fields, in which format. No I/O."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from domain.errors import InvalidRequest, Problem

Format = Literal["csv", "json", "jsonl", "parquet"]
Status = Literal["completed", "failed", "rejected"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}
FIELDS = (
    "tenant", "id", "run", "status", "error_code", "provider", "model", "cached", "template", "template_version",
    "api_key_id", "batch_id", "tags", "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens",
    "cost_usd", "attempts", "queued_ms", "provider_ms", "total_ms", "submitted_at", "completed_at", "output",
)  # fmt: skip
"""Those of the table `results`, in its order. `output` is null where the tenant's answers are not kept."""


@dataclass(frozen=True, slots=True)
class Export:
    """Results that ended within [since, until), the latest run of each request, in the order of their ids.

    fields:  in the order they are to have
    after:   begin behind this id: where an export before broke off
    upto:    end with this id; empty is no bound
    """

    tenant: str
    format: Format
    fields: tuple[str, ...]
    since: datetime
    until: datetime
    template: str | None = None
    status: Status | None = None
    after: str = ""
    upto: str = ""


class Step(NamedTuple):
    """Some of the next rows of an export: how many, and the id of the last one (empty where there is none)."""

    rows: int
    last: str


def check_fields(names: Sequence[str] | None) -> tuple[str, ...]:
    """All of them where none are named. Raises InvalidRequest for an unknown one, with the nearest, or a repeat."""
    if names is None:
        return FIELDS
    problems = []
    for place, name in enumerate(names):
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(FIELDS)}"
            problems.append(Problem(f"/fields/{place}", f"there is no field {name[:64]!r}{hint}"))
        elif name in names[:place]:
            problems.append(Problem(f"/fields/{place}", f"{name!r} is there twice"))
    if problems:
        raise InvalidRequest("invalid_request", problems[0].message, problems)
    return tuple(names)
