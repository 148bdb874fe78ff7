"""What OpenAPI says of fields, parameters and headers that say nothing themselves (words.yaml)."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import yaml

from api import answer_headers

Words = Mapping[str, Any]


def complete(document: dict[str, Any]) -> None:
    """Descriptions of fields, descriptions and examples of parameters and headers; what is there stays."""
    words = yaml.safe_load(files("api").joinpath("words.yaml").read_text(encoding="utf-8"))
    for name, field, schema in fields(document):
        said = words["fields"].get(f"{name}.{field}", words["fields"].get(field))
        if said is not None and not is_described(schema):
            schema["description"] = said
    for path, parameter in parameters(document):
        said = _of_parameter(words["parameters"], path, parameter["name"])
        parameter.setdefault("description", parameter.get("schema", {}).get("description", said.get("description")))
        if "example" in said and "default" not in parameter.get("schema", {}):
            parameter.setdefault("example", said["example"])
    answer_headers.complete(document, words["headers"])
    # in the order in which they are to be read
    document["tags"] = [{"name": name, "description": said} for name, said in words["tags"].items()]


def fields(document: Words) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Schema, field and the field's own schema, which is changed in place."""
    for name, schema in document["components"]["schemas"].items():
        for field, own in schema.get("properties", {}).items():
            yield name, field, own


def parameters(document: Words) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                yield path, parameter


def is_described(schema: Words) -> bool:
    """By itself, or by one of the things that it may be."""
    return "description" in schema or any("description" in one for one in schema.get("anyOf", []))


def _of_parameter(said: Words, path: str, name: str) -> Words:
    """The entry of the longest beginning of the path, else that of the name alone."""
    known = [key for key in said if key.endswith(f" {name}") and path.startswith(key.partition(" ")[0])]
    found: Words = said[max(known, key=len)] if known else said.get(name, {})
    return found
