"""What a provider will not enforce of a schema, and where. Pure; the answer is checked here in any case.

A model that is free to break a rule breaks it now and then, and each time costs a call: the lint says where a schema
could be written so that the provider holds the model to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from domain.errors import Problem
from domain.output import strict
from domain.output.bounds import escape
from domain.output.dialect import enforced, takes
from domain.output.schema import OutputSchema
from domain.routing.model import Deployment

MAX_WARNINGS = 20
_CHILDREN = ("properties", "$defs")


def lint(schema: OutputSchema, deployment: Deployment) -> tuple[Problem, ...]:
    """At most 20 warnings, each with a JSON pointer into the schema; none where the provider enforces all of it."""
    found = _as_a_whole(schema, deployment)
    if found is not None:
        return (Problem("", found),)
    warnings = list(_places(schema.schema, "", 1, takes(deployment)))
    if enforced(deployment, schema) is None:
        reason = "is passed on as a wish only, of which nothing is enforced"
        warnings.insert(0, Problem("", f"{reason}: {_reason(schema, warnings)}"))
    return tuple(warnings[:MAX_WARNINGS])


def lint_aliases(schema: OutputSchema, aliases: Mapping[str, Sequence[Deployment]]) -> dict[str, tuple[Problem, ...]]:
    """By the name of each deployment that an alias stands for first: what it will not enforce, if there is anything."""
    firsts = {members[0].name: members[0] for members in aliases.values() if members}
    found = {name: lint(schema, one) for name, one in firsts.items()}
    return {name: problems for name, problems in found.items() if problems}


def _as_a_whole(schema: OutputSchema, deployment: Deployment) -> str | None:
    """Why nothing of any schema like this is enforced by this deployment."""
    name = deployment.name
    if not schema.is_object:
        return "its root is not of type object: every provider gets it as an instruction only; wrap it in an object"
    if deployment.structured == "none" or (deployment.structured, deployment.dialect) == ("json_object", "anthropic"):
        return f"{name} takes no schema: it is an instruction only"
    if deployment.structured == "json_object":
        return f"{name} enforces JSON, not the schema: it is an instruction only"
    if deployment.structured == "tool":
        return f"{name} gets it as a tool's parameters, which it need not keep to"
    return None


def _places(node: Any, path: str, level: int, kind: strict.Takes) -> Iterator[Problem]:
    """What is wrong with each node of the schema, in its order."""
    if not isinstance(node, dict):
        yield Problem(path, "true and false are no schemas that a provider takes")
        return
    if level > strict.DEPTH:
        yield Problem(path, f"is nested deeper than {strict.DEPTH} levels")
        return
    if "$ref" in node:
        if beside := node.keys() - {"$ref", "description", "title"}:
            yield Problem(path, f"beside $ref, {', '.join(sorted(beside))} cannot be enforced")
    else:
        yield from _own(node, path, kind)
    for below, child in _children(node, path):
        yield from _places(child, below, level + 1, kind)


def _own(node: dict[str, Any], path: str, kind: strict.Takes) -> Iterator[Problem]:
    if (reason := strict.open_reason(node, kind.closed)) is not None:
        yield Problem(path, reason)
    for word, value in node.items():
        place = f"{path}/{escape(word)}"
        unknown_format = word == "format" and value not in kind.formats
        if word in strict.SILENT:
            continue
        if unknown_format or (word in strict.ONLY_SAID and word not in kind.words):
            yield Problem(place, "is told to the model, not enforced")
        elif word not in kind.words and word != "const":
            yield Problem(place, "is a word that cannot be enforced")


def _children(node: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    if "$ref" in node:
        return
    for word in _CHILDREN:
        for name, child in node.get(word, {}).items():
            yield f"{path}/{word}/{escape(name)}", child
    if "items" in node:
        yield f"{path}/items", node["items"]
    for index, child in enumerate(node.get("anyOf", ())):
        yield f"{path}/anyOf/{index}", child


def _reason(schema: OutputSchema, warnings: list[Problem]) -> str:
    if "anyOf" in schema.schema:
        return "its root is an anyOf"
    if any("told to the model" not in one.message for one in warnings):
        return "see the places below"
    return "it refers to itself" if schema.growth.recursive else "it has too many properties or enum values"
