"""What of a record must not leave, by the destination it goes to. Pure.

Prompts are in no record that leaves the line; this is for the rest: fields that are left out, and patterns of personal
data and secrets that are replaced in those that stay.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import InvalidSettings
from domain.safety.redaction import KINDS, Kind, redacted

EMPTY: Mapping[str, Any] = {"metadata": {}, "tags": {}, "data": {}}
"""What stands for a field that is left out, null for the others."""
FIELDS = ("output", "subject", "metadata", "tags", "api_key_id", "batch_id", "data")
"""Fields of results, usage and events that a destination can do without."""
FREE = ("output", "subject", "metadata", "tags", "data", "error")
"""Fields that hold what people and models wrote: patterns are looked for there."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """`fields` are left out, `kinds` replaced by their names in the others."""

    fields: frozenset[str] = frozenset()
    kinds: tuple[Kind, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fields or self.kinds)

    def rest(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record without them."""
        found = dict(record)
        for name in self.fields & found.keys():
            found[name] = EMPTY.get(name)
        if self.kinds:
            found |= {name: redacted(found[name], self.kinds) for name in FREE if name in found}
        return found


def withheld(sink: str, fields: str, kinds: str) -> Withheld:
    """Of lists such as `subject, s3:tags`: a name for every sink, or behind that of one. Raises InvalidSettings."""
    left_out = frozenset(_meant(sink, fields, FIELDS, "STRUCTURED_PROMPT_SINK_WITHHOLD"))
    replaced: Any = tuple(_meant(sink, kinds, KINDS, "STRUCTURED_PROMPT_SINK_REDACT"))
    return Withheld(left_out, replaced)


def _meant(sink: str, text: str, known: Iterable[str], setting: str) -> list[str]:
    found = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        whose, _, name = part.rpartition(":")
        if name not in known:
            raise InvalidSettings(f"{setting}: {name!r} is none of {', '.join(known)}; write NAME or SINK:NAME")
        if whose in ("", sink):
            found.append(name)
    return list(dict.fromkeys(found))
