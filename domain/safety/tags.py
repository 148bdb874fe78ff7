"""A template's tags around a value stay around it: no value can close the tag it stands in, or open another one.

Where a value holds a tag of its template, or ends in what could become one with the value after it, its `<` is written
as `&lt;`. All else of the value stays as it is.
"""

import re
from collections.abc import Iterable
from typing import Any

_TAG = re.compile(r"</([A-Za-z_][A-Za-z0-9_-]{0,63})>")


def tags_of(text: str) -> frozenset[str]:
    """The names of the tags that a template's own text closes."""
    return frozenset(name.lower() for name in _TAG.findall(text))


def guard(tags: Iterable[str]) -> "re.Pattern[str] | None":
    """What `guarded` looks for; None for a template without tags."""
    names = sorted(tags)
    if not names:
        return None
    whole = "|".join(re.escape(name) for name in names)
    # every proper beginning of a tag, where the value ends in it
    starts = {f"{slash}{name[:size]}" for name in names for slash in ("", "/") for size in range(len(name) + 1)}
    begun = "|".join(re.escape(start) for start in sorted(starts, key=len, reverse=True))
    return re.compile(rf"<(?=\s*/?\s*(?:{whole})\b|\s*(?:{begun})\s*\Z)", re.IGNORECASE)


def guarded(value: Any, pattern: "re.Pattern[str]") -> Any:
    """The value with its tags broken, within lists and objects too, names of fields included."""
    if isinstance(value, str):
        return pattern.sub("&lt;", value) if "<" in value else value
    if isinstance(value, list):
        return [guarded(one, pattern) for one in value]
    if isinstance(value, dict):
        return {guarded(name, pattern): guarded(one, pattern) for name, one in value.items()}
    return value
