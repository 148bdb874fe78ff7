"""What usage can be asked by, and what it says. Pure."""

import difflib
from collections.abc import Sequence

from domain.errors import InvalidRequest, Problem

DIMENSIONS = ("hour", "day", "tenant", "api_key_id", "provider", "model", "template", "tags")
"""Columns a reader may group by, in the order they come back."""

MEASURES = (
    "requests", "completed", "failed", "rejected", "cached",
    "input_tokens", "output_tokens", "cost_usd",
    "p50_ms", "p95_ms", "p99_ms",
)  # fmt: skip
"""Columns every row has: requests by how they ended, tokens and dollars of provider attempts, percentiles of the
requests' total time in milliseconds."""


def check_dimensions(by: Sequence[str]) -> tuple[str, ...]:
    """Those of DIMENSIONS that `by` names, each once. Raises InvalidRequest naming what is not one."""
    problems = []
    for name in by:
        if name not in DIMENSIONS:
            near = difflib.get_close_matches(name, DIMENSIONS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(Problem("/by", f"{name!r} is not one of {', '.join(DIMENSIONS)}{hint}"))
    if problems:
        raise InvalidRequest("invalid_request", "usage cannot be grouped by that", problems)
    return tuple(name for name in DIMENSIONS if name in by)
