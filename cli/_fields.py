"""How the generated pages show what a JSON Schema allows."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

Schema = Mapping[str, Any]
Shown = Callable[[str], str]
"""How an object is named, by the name of its schema."""


def absent(default: object) -> str:
    """A default with parts of its own is described where its parts are: in the schema."""
    if default is None or isinstance(default, dict | list):
        return "none" if not default else "its parts' own"
    return f"`{orjson.dumps(default).decode()}`"


def kind(field: Schema, shown: Shown = lambda name: f"object ({name})") -> str:
    kinds = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
    return " or ".join(dict.fromkeys(_one(one, shown) for one in kinds))


def bounds(field: Schema) -> str:
    """The least and the most of a number, and the length of a text, where they are bounded."""
    alternatives = field.get("anyOf", [field])
    merged = (
        {name: value for one in alternatives for name, value in one.items()} if isinstance(alternatives, list) else {}
    )
    least, most, longest = (merged.get(name) for name in ("minimum", "maximum", "maxLength"))
    if least is not None and most is not None:
        return f", {least} to {most}"
    told = ((", at least", least), (", at most", most), (", at most", longest))
    unit = " characters" if longest is not None else ""
    return "".join(f"{words} {value}{unit}" for words, value in told if value is not None)


def _one(field: Schema, shown: Shown) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        return shown(field["$ref"].rpartition("/")[2])
    if field.get("items"):
        return f"array of {kind(field['items'], shown)}"
    return str(field.get("format", field.get("type", "any JSON")))
