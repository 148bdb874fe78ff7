"""A compiled output schema: what an answer must look like, and whether it does.

JSON Schema draft 2020-12 (json-schema.org) by jsonschema-rs, with nothing ever fetched, patterns on the engine that
runs in linear time (no lookaround, no back-references), and `format` taken as the annotation it is by default.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

import jsonschema_rs
import orjson

from domain.errors import InvalidRequest, Problem
from domain.output import strict
from domain.output.bounds import Growth, TooMuch, canonical, check_depth, depth, escape, measure

MAX_PROBLEMS = 20
MAX_ANSWER_DEPTH = 64
MAX_EXPLAINED_BYTES = 256 * 1024
MAX_EXPLAINED_BRANCHES = 10_000
CACHE_WEIGHT = 4096
_PATTERN_WEIGHT = 16
_MESSAGE = 300
_REGEX = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)


@dataclass(frozen=True, slots=True)
class Checked:
    """`value` is the parsed answer where there are no problems; a problem's path points into the answer."""

    value: Any = None
    problems: tuple[Problem, ...] = ()
    is_json: bool = True

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(frozen=True)
class OutputSchema:
    """Made by `compile` only. `digest` is equal for equal schemas, whatever the order of their keys."""

    schema: dict[str, Any]
    digest: str
    growth: Growth
    validator: jsonschema_rs.Draft202012Validator = field(repr=False)

    @property
    def is_object(self) -> bool:
        """Whether the answer is a JSON object for certain: the only root providers accept."""
        return self.schema.get("type") == "object"

    @cached_property
    def text(self) -> str:
        """The schema as JSON, for an instruction."""
        return orjson.dumps(self.schema).decode()

    @cached_property
    def for_openai(self) -> dict[str, Any] | None:
        """What OpenAI can enforce of it, or None."""
        return strict.openai(self.schema)

    @cached_property
    def for_anthropic(self) -> dict[str, Any] | None:
        """What Anthropic can enforce of it, or None."""
        return None if self.growth.recursive else strict.anthropic(self.schema)

    @cached_property
    def for_gemini(self) -> dict[str, Any] | None:
        """What Gemini can enforce of it, or None."""
        return None if self.growth.recursive else strict.gemini(self.schema)

    def check(self, text: str) -> Checked:
        """Parse and validate an answer. At most 20 problems; never raises."""
        try:
            value = orjson.loads(text)
        except (orjson.JSONDecodeError, UnicodeEncodeError) as error:
            return Checked(problems=(Problem("", f"is not JSON: {error}"[:_MESSAGE]),), is_json=False)
        level = depth(value, MAX_ANSWER_DEPTH) if text.count("{") + text.count("[") > MAX_ANSWER_DEPTH else 0
        if level > MAX_ANSWER_DEPTH:
            return Checked(problems=(Problem("", f"is nested deeper than {MAX_ANSWER_DEPTH} levels"),))
        if self.validator.is_valid(value):
            return Checked(value)
        return Checked(problems=self._explain(value, len(text)))

    def _explain(self, value: Any, size: int) -> tuple[Problem, ...]:
        # is_valid remembers what it has seen of a recursive schema, listing errors does not: it doubles a level
        level = depth(value, MAX_ANSWER_DEPTH) if self.growth.recursive else 0
        if self.growth.width**level > MAX_EXPLAINED_BRANCHES:
            return (Problem("", "does not fit the schema; too many alternatives nest to name the place"),)
        if size > MAX_EXPLAINED_BYTES:
            return (_first(self.validator, value),)
        errors = self.validator.iter_errors(value)
        return tuple(_problem(error) for error, _ in zip(errors, range(MAX_PROBLEMS), strict=False))


def _first(validator: jsonschema_rs.Draft202012Validator, value: Any) -> Problem:
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        return _problem(error)
    return Problem("", "does not fit the schema")


def _problem(error: jsonschema_rs.ValidationError) -> Problem:
    path = "".join(f"/{escape(str(step))}" for step in error.instance_path)
    message = error.message
    return Problem(path, message if len(message) <= _MESSAGE else f"{message[: _MESSAGE // 2]} … {message[-100:]}")


class _Cache:
    """Least recently used schemas up to a weight: a pattern weighs more than a schema, it may hold a megabyte."""

    def __init__(self, weight: int) -> None:
        self._left = weight
        self._held: OrderedDict[bytes, OutputSchema] = OrderedDict()

    def get(self, key: bytes) -> OutputSchema | None:
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, key: bytes, schema: OutputSchema) -> None:
        self._held[key] = schema
        self._left -= _weight(schema)
        while self._left < 0 and len(self._held) > 1:
            self._left += _weight(self._held.popitem(last=False)[1])


def _weight(schema: OutputSchema) -> int:
    return 1 + _PATTERN_WEIGHT * schema.growth.patterns


_cache = _Cache(CACHE_WEIGHT)


def compile(schema: dict[str, Any]) -> OutputSchema:
    """The compiled schema, the same object for an equal schema while it is remembered.

    Raises InvalidRequest("invalid_request") with problems under /output_schema.
    """
    try:
        data = canonical(schema)
    except TooMuch as error:
        raise _refusal(error.problem) from error
    key = sha256(data).digest()
    found = _cache.get(key)
    if found is None:
        found = _compile(schema, key.hex())
        _cache.put(key, found)
    return found


def _compile(schema: dict[str, Any], digest: str) -> OutputSchema:
    try:
        check_depth(schema)
        jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})
        growth = measure(schema)
        validator = jsonschema_rs.Draft202012Validator(schema, pattern_options=_REGEX, offline=True)
    except TooMuch as error:
        raise _refusal(error.problem) from error
    except jsonschema_rs.ValidationError as error:
        raise _refusal(_schema_problem(error)) from error
    return OutputSchema(schema, digest, growth, validator)


def _schema_problem(error: jsonschema_rs.ValidationError) -> Problem:
    problem = _problem(error)
    if error.message.endswith('is not a "regex"'):
        remedy = "must be a regular expression of linear time: no lookaround, no back-references, no huge repeats"
        return Problem(problem.path, f"{problem.message}; it {remedy}")
    return problem


def _refusal(problem: Problem) -> InvalidRequest:
    path = f"/output_schema{problem.path}"
    return InvalidRequest(
        "invalid_request",
        f"output_schema is not a usable JSON Schema (draft 2020-12): {path}: {problem.message}",
        [Problem(path, problem.message)],
    )
