"""Options that belong together, written once: a parameter that is a group becomes the options of its fields."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """The same command for Typer: a dataclass parameter as one option a field."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if _is_group(hint)}
    parameters = []
    for name, parameter in inspect.signature(command).parameters.items():
        parameters += _fields(groups[name]) if name in groups else [parameter.replace(annotation=hints[name])]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        arguments = {name: given[name] for name in hints if name in given}
        for name, group in groups.items():
            arguments[name] = group(**{field.name: given[field.name] for field in dataclasses.fields(group)})
        command(**arguments)

    keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in keyword_only}
    del run.__wrapped__  # inspect would look through to the groups
    return run


def _is_group(hint: Any) -> bool:
    return inspect.isclass(hint) and dataclasses.is_dataclass(hint)


def _fields(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=_default(field), annotation=hints[field.name]
        )
        for field in dataclasses.fields(group)
    ]


def _default(field: "dataclasses.Field[Any]") -> Any:
    """An option without a default is required, and Typer says so."""
    return inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
