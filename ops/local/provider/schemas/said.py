"""Bounds that a caller moved into descriptions, because a provider's strict mode does not enforce them.

Callers write them as the providers' own libraries do: `... (maxLength: 80, minLength: 10)` at the end of a description.
A real model reads and mostly keeps them; so does this one.
"""

import re
from typing import Any

_TAIL = re.compile(r"\(([^()]*)\)\s*$")
_BOUND = re.compile(
    r"\b(minLength|maxLength|minItems|maxItems|minProperties|maxProperties"
    r"|minimum|maximum|exclusiveMinimum|exclusiveMaximum|multipleOf): (-?\d+(?:\.\d+)?)(?=,|$)"
)


def with_said_bounds(schema: Any) -> Any:
    """A copy of `schema` in which bounds that descriptions name are keywords, where the keyword is absent."""
    if isinstance(schema, list):
        return [with_said_bounds(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {name: with_said_bounds(value) for name, value in schema.items()}
    description = schema.get("description")
    if isinstance(description, str) and (tail := _TAIL.search(description)):
        for word, number in _BOUND.findall(tail.group(1)):
            copy.setdefault(word, float(number) if "." in number else int(number))
    return copy
