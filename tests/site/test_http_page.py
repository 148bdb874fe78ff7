"""The page of the routes leaves nothing of OpenAPI out."""

import re
from pathlib import Path
from typing import Any

import pytest

from api.application import create_app
from cli._http_parts import anchor
from tests.api.door import Door

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
VERBS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    door = Door()
    return create_app(door.ports, door.settings).openapi()


def section(heading: str) -> str:
    found = re.search(rf"\n### {re.escape(heading)}\n(.*?)(?=\n###? |\Z)", PAGE, re.DOTALL)
    assert found, heading
    return found[1]


def test_every_route_with_its_parameters_codes_and_headers_is_on_it(document: dict[str, Any]) -> None:
    usual = PAGE.split("\n## Usual problems")[1]
    for path, operations in document["paths"].items():
        for verb in operations.keys() & VERBS:
            one, text = operations[verb], section(f"{verb.upper()} {path}")
            words = [f"`{parameter['name']}`" for parameter in one.get("parameters", [])]
            for status, response in one["responses"].items():
                problem = response.get("content", {}).get("application/problem+json", {})
                words += [status, *(f"`{code}`" for code in problem.get("examples", {}))]
                assert all(f"`{name}`" in text + usual for name in response.get("headers", {})), (path, status)
            assert [word for word in words if word not in text] == [], (verb, path)


def test_every_object_with_its_fields_is_on_it(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        text = section(name)
        assert [field for field in schema["properties"] if f"| `{field}` |" not in text] == [], name


def test_an_address_of_the_page_is_what_its_heading_makes() -> None:
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert links <= {anchor(heading) for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)}
