"""One operation of OpenAPI, and one object, as Markdown."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from cli._fields import absent, bounds, kind

Part = Mapping[str, Any]
PROBLEM = "application/problem+json"
JSON = "application/json"
LONGEST = 14
"""Lines of an example; what is longer is folded to one line a field."""
EVERYWHERE = "X-Request-Id"
USUAL = frozenset({
    "unauthenticated", "forbidden", "insufficient_scope", "too_slow", "too_large", "unsupported_encoding",
    "rate_limited", "internal", "unavailable",
})  # fmt: skip
"""Codes of problems that the layers before a route answer with: they are told once."""


def anchor(heading: str) -> str:
    """As MkDocs and GitHub make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def operation(verb: str, path: str, one: Part) -> Iterator[str]:
    yield f"\n### {verb.upper()} {path}\n**{one['summary']}.** {one.get('description', '').strip()}\n"
    yield _scope(one)
    if parameters := one.get("parameters"):
        yield "\n| parameter | in | type | default | what it says |\n| --- | --- | --- | --- | --- |"
        yield from (_parameter(parameter) for parameter in parameters)
    yield from _body(one.get("requestBody"))
    yield "\n| answer | when | what | headers |\n| --- | --- | --- | --- |"
    good, errors = _parted(one["responses"])
    yield from (_answer(status, response) for status, response in good)
    yield from (_error(status, response) for status, response in errors if not _usual(response))
    usual = [f"{status} {_codes(response)}" for status, response in errors if _usual(response)]
    if usual:
        yield f"\nAnd the [usual](#usual-problems) {', '.join(usual)}."
    yield from _example(next((response for _, response in good), {}))


def fields(name: str, schema: Part) -> Iterator[str]:
    """An object: its fields."""
    yield f"\n### {name}\n{schema['description'].strip()}\n"
    yield "| field | type | default | what it says |\n| --- | --- | --- | --- |"
    required = schema.get("required", ())
    for field, one in schema["properties"].items():
        default = "required" if field in required else absent(one.get("default"))
        yield f"| `{field}` | {_kind(one)} | {default} | {_said(one)} |"


def _said(field: Part) -> str:
    """Its description, or that of what it holds when it is not null."""
    said = field.get("description") or next(one["description"] for one in field["anyOf"] if "description" in one)
    return _cell(said)


def _scope(one: Part) -> str:
    if not one.get("security"):
        return "No key is needed."
    scopes = {scope for scheme in one["security"] for names in scheme.values() for scope in names}
    return f"Scope: {', '.join(f'`{scope}`' for scope in sorted(scopes))}"


def _parameter(one: Part) -> str:
    default = "required" if one["required"] else absent(one["schema"].get("default"))
    return f"| `{one['name']}` | {one['in']} | {_kind(one['schema'])} | {default} | {_said(one)} |"


def _kind(field: Part) -> str:
    return kind(field, lambda name: f"[{name}](#{anchor(name)})") + bounds(field)


def _body(body: Part | None) -> Iterator[str]:
    if body is None:
        return
    content = body["content"][JSON]
    optional = "" if body.get("required") else ", which may be left out"
    yield f"\nThe body: {_kind(content['schema'])}{optional}."
    examples = content.get("examples", {"": {"value": content.get("example")}})
    for one in examples.values():
        yield block(one["value"])


def _parted(responses: Part) -> tuple[list[tuple[str, Part]], list[tuple[str, Part]]]:
    """Answers and problems, each by their status."""
    ordered = sorted(responses.items())
    good = [(status, one) for status, one in ordered if PROBLEM not in one.get("content", {})]
    return good, [(status, one) for status, one in ordered if PROBLEM in one.get("content", {})]


def _answer(status: str, response: Part) -> str:
    content = response.get("content", {})
    named = [one["schema"] for one in content.values() if "$ref" in one.get("schema", {})]
    what = ", ".join(_kind(schema) for schema in named) or ", ".join(f"`{name}`" for name in content) or "–"
    return f"| {status} | {_cell(response['description'])} | {what} | {_headers(response)} |"


def _error(status: str, response: Part) -> str:
    return f"| {status} | {_cell(response['description'])} | {_codes(response)} | {_headers(response)} |"


def _codes(response: Part) -> str:
    return ", ".join(f"`{code}`" for code in response["content"][PROBLEM].get("examples", ()))


def _usual(response: Part) -> bool:
    return set(response["content"][PROBLEM].get("examples", ())) <= USUAL


def usual(operations: Iterable[Part]) -> Iterator[str]:
    """The table of the problems that are told once, with the headers that they may have."""
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for one in operations:
        for status, response in _parted(one["responses"])[1]:
            if _usual(response):
                key = (status, _codes(response), _cell(response["description"]))
                found.setdefault(key, {}).update(dict.fromkeys(_named(response)))
    for (status, codes, description), headers in sorted(found.items()):
        yield f"| {status} | {codes} | {description} | {', '.join(headers) or '–'} |"


def _headers(response: Part) -> str:
    return ", ".join(_named(response)) or "–"


def _named(response: Part) -> list[str]:
    return [f"`{name}`" for name in response.get("headers", ()) if name != EVERYWHERE]


def _example(response: Part) -> Iterator[str]:
    for kind_, one in response.get("content", {}).items():
        if "example" in one and kind_ == JSON:
            yield block(one["example"])
            return


def block(value: object) -> str:
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    if text.count("\n") > LONGEST and isinstance(value, dict):
        lines = (f"  {orjson.dumps(name).decode()}: {orjson.dumps(part).decode()}" for name, part in value.items())
        text = "{\n" + ",\n".join(lines) + "\n}"
    return f"\n```json\n{text}\n```"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
