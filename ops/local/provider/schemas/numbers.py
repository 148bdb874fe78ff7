"""Numbers that satisfy bounds and `multipleOf`, as near as possible to a meaningful one."""

import math
from decimal import Decimal
from typing import Any

from ops.local.provider.schemas.normalise import Unsatisfiable


def fit(wanted: float, schema: dict[str, Any], *, integer: bool, salt: int) -> float | int:
    """The number nearest to `wanted + salt` steps that the schema's numeric keywords allow."""
    if not (integer or salt or "multipleOf" in schema) and _within(wanted, schema):
        return wanted
    step = _step(schema, integer=integer)
    low, high = _bounds(schema, step)
    value = Decimal(str(wanted))
    if low is not None and value < low:
        value = low
    if high is not None and value > high:
        value = high
    value = _on_grid(value, step, low, high) if step else value
    if salt:
        value = _moved(value, step or _spacing(low, high), salt, low, high)
    return int(value) if integer or (step and value == value.to_integral_value()) else float(value)


def _within(value: float, schema: dict[str, Any]) -> bool:
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    return bool(low <= value <= high and above < value < below)


def _step(schema: dict[str, Any], *, integer: bool) -> Decimal | None:
    multiple = schema.get("multipleOf")
    if multiple is None:
        return Decimal(1) if integer else None
    step: Decimal = Decimal(str(multiple))
    if integer and step != step.to_integral_value():
        scale = 10 ** -int(step.as_tuple().exponent)
        return Decimal(math.lcm(int(step * scale), int(scale))) / int(scale)
    return step


def _bounds(schema: dict[str, Any], step: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    low, high = _number(schema.get("minimum")), _number(schema.get("maximum"))
    above, below = _number(schema.get("exclusiveMinimum")), _number(schema.get("exclusiveMaximum"))
    gap = step or _gap(above if above is not None else low, below if below is not None else high)
    if above is not None and (low is None or low <= above):
        low = above + gap if not step else math.floor(above / step) * step + step
    if below is not None and (high is None or high >= below):
        high = below - gap if not step else math.ceil(below / step) * step - step
    return low, high


def _gap(low: Decimal | None, high: Decimal | None) -> Decimal:
    """How far inside an exclusive bound to stay: little enough to fit between two bounds."""
    if low is not None and high is not None and high > low:
        return (high - low) / 4
    return max(abs(low or high or Decimal(0)) * Decimal("1e-9"), Decimal("0.001"))


def _spacing(low: Decimal | None, high: Decimal | None) -> Decimal:
    return (high - low) / 64 if low is not None and high is not None else Decimal(1)


def _on_grid(value: Decimal, step: Decimal, low: Decimal | None, high: Decimal | None) -> Decimal:
    nearest = Decimal(round(value / step)) * step
    if low is not None and nearest < low:
        nearest = math.ceil(low / step) * step
    if high is not None and nearest > high:
        nearest = math.floor(high / step) * step
    if low is not None and nearest < low:
        raise Unsatisfiable(f"no multiple of {step} between {low} and {high}")
    return nearest


def _moved(value: Decimal, step: Decimal, salt: int, low: Decimal | None, high: Decimal | None) -> Decimal:
    upward = value + step * salt
    if high is None or upward <= high:
        return upward
    downward = value - (upward - high) - (step - (upward - high) % step if (upward - high) % step else 0)
    if low is not None and downward < low:
        raise Unsatisfiable("no further number in the range")
    return downward


def _number(value: Any) -> Decimal | None:
    return None if value is None or isinstance(value, bool) else Decimal(str(value))
