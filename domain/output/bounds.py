"""What a schema may cost. A tenant writes it, every worker runs it: depth, size, patterns and growth are bounded.

Growth is the danger that size does not show: twenty definitions that each refer to the next one twice ask a
validator for a million evaluations ("billion laughs"). `measure` walks the schema as a validator would.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson

from domain.errors import Problem

MAX_DEPTH = 64
MAX_BYTES = 64 * 1024
MAX_PATTERNS = 50
MAX_GROWTH = 100_000
MAX_CHAIN = 60
DRAFT = "https://json-schema.org/draft/2020-12/schema"

_ONE = ("not", "if", "then", "else")
_MANY = ("allOf", "anyOf", "oneOf")
_CHILD = ("items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties")
_CHILDREN = ("properties", "patternProperties", "$defs", "definitions")


class TooMuch(Exception):
    """The schema at `path` breaks a bound."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(path, message)


@dataclass(slots=True)
class Growth:
    """`width`: evaluations at one place of an answer at most; `recursive`: whether a child may be the whole again."""

    width: int = 1
    recursive: bool = False
    patterns: int = 0


def canonical(schema: dict[str, Any]) -> bytes:
    """The schema as bytes, equal for equal schemas. Raises TooMuch where it is no JSON, or too large."""
    try:
        data = orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        check_depth(schema)
        raise TooMuch("", f"is not JSON: {error}") from error
    if len(data) > MAX_BYTES:
        raise TooMuch("", f"is larger than {MAX_BYTES // 1024} KiB")
    return data


def check_depth(schema: dict[str, Any]) -> None:
    """Raises TooMuch where the schema is nested deeper than 64 levels."""
    if depth(schema, MAX_DEPTH) > MAX_DEPTH:
        raise TooMuch("", f"is nested deeper than {MAX_DEPTH} levels; flatten it or move parts into $defs")


def depth(value: Any, limit: int) -> int:
    """How deep `value` is nested, a scalar being 0; counts no further than `limit` + 1."""
    level, layer = 0, [value]
    while layer and level <= limit:
        layer = [child for node in layer if isinstance(node, dict | list) for child in _inside(node)]
        level += bool(layer)
    return level


def _inside(node: dict[str, Any] | list[Any]) -> Iterator[Any]:
    yield from node.values() if isinstance(node, dict) else node
    if not node:
        yield None


def measure(schema: dict[str, Any]) -> Growth:
    """Walks everything reachable from the root. Raises TooMuch with the place that breaks a bound."""
    return _Walk(schema).run()


@dataclass(slots=True)
class _Walk:
    """Depth-first over schema nodes, each measured once; a node met again below itself is recursion."""

    root: dict[str, Any]
    growth: Growth = field(default_factory=Growth)
    wholes: dict[int, int] = field(default_factory=dict)
    widths: dict[int, int] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)

    def run(self) -> Growth:
        if self.root.get("$schema", DRAFT).rstrip("#") != DRAFT:
            raise TooMuch("/$schema", f"only draft 2020-12 is understood; write {DRAFT} or leave $schema out")
        self.whole(self.root, "", 0)
        return self.growth

    def whole(self, node: Any, path: str, chain: int) -> int:
        """Evaluations of `node` and everything below it when every reference is written out."""
        if not isinstance(node, dict):
            return 1
        if id(node) in self.open:
            self.growth.recursive = True
            return 1
        if id(node) not in self.wholes:
            self.open.add(id(node))
            self.wholes[id(node)] = self._sum(node, path, chain + 1)
            self.open.discard(id(node))
            self.growth.width = max(self.growth.width, self.width(node, path, ()))
        return self.wholes[id(node)]

    def _sum(self, node: dict[str, Any], path: str, chain: int) -> int:
        self._own(node, path, chain)
        total = 1
        for below, child in [*self._in_place(node, path), *_children(node, path)]:
            total += self.whole(child, below, chain)
        if total > MAX_GROWTH:
            raise TooMuch(path, f"grows beyond {MAX_GROWTH} evaluations when its references are written out")
        return total

    def width(self, node: Any, path: str, above: tuple[int, ...]) -> int:
        """Evaluations of `node` at one place of the answer: its own and those of what it combines."""
        if not isinstance(node, dict):
            return 1
        if id(node) in above or len(above) > MAX_CHAIN:
            raise TooMuch(path, "refers to itself without going deeper, so that it could never be decided")
        if id(node) not in self.widths:
            parts = [self.width(part, below, (*above, id(node))) for below, part in self._in_place(node, path)]
            self.widths[id(node)] = max(1, sum(parts))
        return self.widths[id(node)]

    def _own(self, node: dict[str, Any], path: str, chain: int) -> None:
        if chain > 2 * MAX_DEPTH:
            raise TooMuch(path, f"chains more than {2 * MAX_DEPTH} references and levels")
        if path and isinstance(node.get("$id"), str):
            raise TooMuch(f"{path}/$id", "only the whole schema may have an $id")
        self.growth.patterns += ("pattern" in node) + len(_mapping(node.get("patternProperties")))
        if self.growth.patterns > MAX_PATTERNS:
            raise TooMuch(path, f"there are more than {MAX_PATTERNS} patterns in the schema")

    def _in_place(self, node: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for word in ("$ref", "$dynamicRef"):
            if isinstance(node.get(word), str):
                yield f"{path}/{word}", self._target(node[word], f"{path}/{word}")
        for word in _ONE:
            if word in node:
                yield f"{path}/{word}", node[word]
        for word in _MANY:
            for index, part in enumerate(_items(node.get(word))):
                yield f"{path}/{word}/{index}", part
        for name, part in _mapping(node.get("dependentSchemas")).items():
            yield f"{path}/dependentSchemas/{escape(name)}", part

    def _target(self, ref: str, path: str) -> Any:
        if not ref.startswith("#"):
            raise TooMuch(path, f"{ref[:100]!r} is outside the schema and is never fetched; copy it into $defs")
        if ref == "#":
            return self.root
        if not ref.startswith("#/"):
            raise TooMuch(path, f"{ref[:100]!r} names an anchor; refer by pointer, as in #/$defs/name")
        found: Any = self.root
        for token in ref[2:].split("/"):
            found = _step(found, unquote(token).replace("~1", "/").replace("~0", "~"))
            if found is None:
                raise TooMuch(path, f"{ref[:100]!r} leads nowhere in the schema")
        return found


def _children(node: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for word in _CHILD:
        if word in node:
            yield f"{path}/{word}", node[word]
    for index, part in enumerate(_items(node.get("prefixItems"))):
        yield f"{path}/prefixItems/{index}", part
    for word in _CHILDREN:
        for name, part in _mapping(node.get(word)).items():
            yield f"{path}/{word}/{escape(name)}", part


def _step(node: Any, token: str) -> Any:
    if isinstance(node, dict):
        return node.get(token)
    return node[int(token)] if isinstance(node, list) and token.isdecimal() and int(token) < len(node) else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def escape(name: str) -> str:
    """A name as a token of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
