"""One version of a template: its messages, what it needs, and how it becomes a prompt."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from jinja2 import TemplateError

from domain.caching.semantic import Similar
from domain.errors import InvalidRequest, Problem
from domain.safety.redaction import Kind, redacted
from domain.safety.sanitise import sanitised_value
from domain.safety.tags import guarded

MAX_PROMPT = 512 * 1024
MAX_ITEMS = 1_000
DEFAULT_LENGTH = 32_768


@dataclass(frozen=True, slots=True)
class Variable:
    """`max_length` counts characters: of a text, or of anything else written as JSON."""

    description: str = ""
    required: bool = True
    max_length: int = DEFAULT_LENGTH
    default: Any = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A message whose content is either fixed or rendered by itself, so that no variable can add a message."""

    role: str
    content: str | Callable[[dict[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Template:
    """What a file of the library says. `output_schema`, `model` and `parameters` are defaults for the request.

    cache_ttl_s: how long its answers are kept, 0 for never, None for as long as others.
    similar: whether they are given to the same question in other words, None for never.
    redact: what is replaced in variables. guard: finds tags of the template in them (domain/safety/tags.py).
    """

    name: str
    version: int
    turns: tuple[Turn, ...] = field(repr=False)
    description: str = ""
    variables: Mapping[str, Variable] = field(default_factory=dict)
    output_schema: dict[str, Any] | None = None
    model: str = "fast"
    parameters: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict, repr=False)
    redact: frozenset[Kind] = frozenset()
    guard: "re.Pattern[str] | None" = field(default=None, repr=False)
    cache_ttl_s: int | None = None
    similar: Similar | None = None

    def render(self, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The messages of the prompt. Raises InvalidRequest("invalid_request") naming every variable at fault."""
        problems = self._problems(variables)
        if problems:
            raise self._refusal(problems)
        values = self.values(variables)
        try:
            rendered = [
                {"role": turn.role, "content": turn.content if isinstance(turn.content, str) else turn.content(values)}
                for turn in self.turns
            ]
        except (TemplateError, TypeError, ValueError) as error:
            raise self._refusal([Problem("/template/variables", f"do not fit the template: {error}")]) from error
        if sum(len(message["content"]) for message in rendered) > MAX_PROMPT:
            raise self._refusal([Problem("/template/variables", f"make a prompt over {MAX_PROMPT} characters")])
        return rendered

    def values(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The variables as they stand in the prompt."""
        return self.defaults | {name: self._safe(value) for name, value in variables.items() if value is not None}

    def _safe(self, value: Any) -> Any:
        """As it may stand in a prompt. Hidden characters go first: one of them could hide a tag from the guard."""
        value = sanitised_value(value)
        if self.redact:
            value = redacted(value, self.redact)
        return value if self.guard is None else guarded(value, self.guard)

    def _problems(self, variables: Mapping[str, Any]) -> list[Problem]:
        problems = []
        for name, value in variables.items():
            wanted = self.variables.get(name)
            if wanted is None:
                known = ", ".join(self.variables) or "none"
                problems.append(Problem(_path(name), f"is not a variable of this template; it has: {known}"))
            elif reason := _too_much(value, wanted.max_length):
                problems.append(Problem(_path(name), reason))
        for name, wanted in self.variables.items():
            if wanted.required and variables.get(name) is None:
                problems.append(Problem(_path(name), "is required"))
        return problems[:20]

    def _refusal(self, problems: list[Problem]) -> InvalidRequest:
        first = problems[0]
        message = f"template {self.name} version {self.version}: {first.path} {first.message}"
        return InvalidRequest("invalid_request", message, problems)


def _path(name: str) -> str:
    return f"/template/variables/{name[:100].replace('~', '~0').replace('/', '~1')}"


def _too_much(value: Any, limit: int) -> str | None:
    if isinstance(value, list | dict) and _items(value) > MAX_ITEMS:
        return f"has more than {MAX_ITEMS} items"
    size = len(value) if isinstance(value, str) else len(orjson.dumps(value))
    return f"is too long: {size} characters, {limit} are allowed" if size > limit else None


def _items(value: Any) -> int:
    if isinstance(value, dict):
        return sum(1 + _items(child) for child in value.values())
    return sum(1 + _items(child) for child in value) if isinstance(value, list) else 0
