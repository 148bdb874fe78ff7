"""From somebody's event to a request: JMESPath expressions at the places of a PromptRequest. Pure.

https://jmespath.org/specification.html. A place whose expression finds nothing stays as the constants have it; only an
id that is mapped must be found.
"""

from collections.abc import Mapping as Fields
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from topics.request import PromptRequest


class Unmappable(Exception):
    """An event that is no request; the message says why, without what the event holds."""


class Mapping:
    """`tree` has the shape of a request, with expressions as its leaves. Raises ValueError for what is no mapping."""

    def __init__(self, tree: Fields[str, Any]) -> None:
        unknown = [name for name in tree if name not in PromptRequest.model_fields]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no field of a request")
        self._said = tree
        self._tree = _compiled(tree, "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and self._said == other._said

    def __hash__(self) -> int:
        return hash(frozenset(self._said))

    def apply(self, event: Any) -> dict[str, Any]:
        """The fields that were found, an id where one is mapped. Raises Unmappable."""
        found = _found(self._tree, event, "")
        if "id" in self._tree and "id" not in found:
            raise Unmappable("/id: the expression finds nothing in the event")
        for name in ("id", "subject"):
            if isinstance(found.get(name), int) and not isinstance(found[name], bool):
                found[name] = str(found[name])
        if isinstance(found.get("tags"), dict):
            found["tags"] = {
                name: value if isinstance(value, str) else _text(value) for name, value in found["tags"].items()
            }
        return found


def merged(constants: Fields[str, Any], found: Fields[str, Any]) -> dict[str, Any]:
    """What was found, over the constants; objects are merged, everything else is replaced."""
    result = dict(constants)
    for name, value in found.items():
        below = result.get(name)
        result[name] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _compiled(tree: Any, path: str) -> Any:
    if isinstance(tree, dict):
        return {str(name): _compiled(below, f"{path}/{name}") for name, below in tree.items()}
    if not isinstance(tree, str):
        raise ValueError(f"{path}: {tree!r} is no JMESPath expression; a constant belongs under `request`")  # noqa: TRY004
    try:
        return jmespath.compile(tree)
    except JMESPathError as error:
        raise ValueError(f"{path}: {tree!r} is no JMESPath expression: {_first_line(error)}") from None


def _found(tree: dict[str, Any], event: Any, path: str) -> dict[str, Any]:
    found = {}
    for name, below in tree.items():
        here = f"{path}/{name}"
        if isinstance(below, dict):
            value: Any = _found(below, event, here) or None
        else:
            value = _searched(below, event, here)
        if value is not None:
            found[name] = value
    return found


def _searched(expression: Any, event: Any, path: str) -> Any:
    try:
        return expression.search(event)
    except JMESPathError as error:
        raise Unmappable(f"{path}: the expression does not fit the event ({type(error).__name__})") from None
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise Unmappable(f"{path}: the expression fails on the event ({type(error).__name__})") from None


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
