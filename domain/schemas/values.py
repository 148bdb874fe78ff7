"""The parts of a comparison that need no walk: types, numbers, texts, sizes. Each gives the reasons against."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from domain.errors import Problem

TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_LOWER = (("minLength", "string"), ("minItems", "array"), ("minProperties", "object"))
_UPPER = (("maxLength", "string"), ("maxItems", "array"), ("maxProperties", "object"))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is given, what is wanted, what messages call both, and where."""

    given: dict[str, Any]
    wanted: dict[str, Any]
    narrow: str
    wide: str
    path: str

    def may(self, *kinds: str) -> bool:
        return bool(_types(self.given) & set(kinds))

    def lost(self, keyword: str, have: Any, need: Any) -> Problem:
        said = "does not say" if have is None else f"says {have}"
        return Problem(f"{self.path}/{keyword}", f"{self.wide} says {need}, {self.narrow} {said}")


def types(where: Comparison) -> Iterator[Problem]:
    lost = _types(where.given) - _types(where.wanted)
    if lost:
        reason = f"{where.narrow} allows {', '.join(sorted(lost))}, {where.wide} does not"
        yield Problem(f"{where.path}/type", reason)


def numbers(where: Comparison) -> Iterator[Problem]:
    if not where.may("integer", "number"):
        return
    for keyword, exclusive, sign in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
        need, have = _bound(where.wanted, keyword, exclusive, sign), _bound(where.given, keyword, exclusive, sign)
        if need is not None and (have is None or have < need):
            yield where.lost(keyword, _said(where.given, keyword, exclusive), _said(where.wanted, keyword, exclusive))
    step = where.wanted.get("multipleOf")
    if step is not None:
        have = where.given.get("multipleOf", 1 if not where.may("number") else None)
        if have is None or _fraction(have) % _fraction(step) != 0:
            yield where.lost("multipleOf", where.given.get("multipleOf"), step)


def texts(where: Comparison) -> Iterator[Problem]:
    need, have = where.wanted.get("pattern"), where.given.get("pattern")
    if where.may("string") and need is not None and need != have:
        yield where.lost("pattern", have, need)


def sizes(where: Comparison) -> Iterator[Problem]:
    for bounds, sign in ((_LOWER, 1), (_UPPER, -1)):
        for keyword, kind in bounds:
            need, have = where.wanted.get(keyword), where.given.get(keyword)
            if need is None or not where.may(kind) or (sign > 0 and need == 0):
                continue
            if have is None or have * sign < need * sign:
                yield where.lost(keyword, have, need)
    if where.wanted.get("uniqueItems") and where.may("array") and not where.given.get("uniqueItems"):
        yield where.lost("uniqueItems", where.given.get("uniqueItems"), True)


def _types(schema: dict[str, Any]) -> frozenset[str]:
    """With `integer` wherever `number` is."""
    kind = schema.get("type")
    kinds = TYPES if kind is None else frozenset([kind] if isinstance(kind, str) else kind)
    return kinds | {"integer"} if "number" in kinds else kinds


def _bound(schema: dict[str, Any], keyword: str, exclusive: str, sign: int) -> tuple[Fraction, bool] | None:
    """The tighter of both bounds, so that a larger pair is a tighter one."""
    found = [(_fraction(schema[name]) * sign, name == exclusive) for name in (keyword, exclusive) if name in schema]
    return max(found, default=None)


def _said(schema: dict[str, Any], keyword: str, exclusive: str) -> Any:
    return schema.get(exclusive, schema.get(keyword))


def _fraction(number: float) -> Fraction:
    return Fraction(str(number))
