"""The OpenAPI document leaves nothing unsaid, and its examples are what it describes."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest

from api.application import create_app
from api.words import fields, is_described, parameters
from tests.api.described import unnamed
from tests.api.door import Door
from tests.api.test_postman import sent

Content = tuple[str, dict[str, Any]]
CHAT = {"model": "fast", "messages": [{"role": "user", "content": "Where is my parcel?"}]}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    door = Door()
    return create_app(door.ports, door.settings).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            yield f"{verb.upper()} {path}", operation


def contents(document: dict[str, Any]) -> Iterator[Content]:
    """Every body that is sent or answered, and where."""
    for name, operation in operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name}, its body ({kind})", content
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                yield f"{name}, {status} ({kind})", content


def examples(content: dict[str, Any]) -> list[Any]:
    found = [one["value"] for one in content.get("examples", {}).values()]
    return [*found, content["example"]] if "example" in content else found


def test_every_field_is_described(document: dict[str, Any]) -> None:
    unsaid = [f"{name}.{field}: add it to api/words.yaml" for name, field, own in fields(document)
              if not is_described(own)]  # fmt: skip
    assert unsaid == []


def test_every_parameter_is_described_and_has_an_example_or_a_default(document: dict[str, Any]) -> None:
    unsaid = [
        f"{path} {one['name']}: add it to `parameters` in api/words.yaml"
        for path, one in parameters(document)
        if not one.get("description") or ("example" not in one and "default" not in one.get("schema", {}))
    ]
    assert unsaid == []


def test_every_operation_and_answer_is_described(document: dict[str, Any]) -> None:
    unsaid = [name for name, one in operations(document) if not one.get("summary") or not one.get("description")]
    unsaid += [
        f"{name} {status}"
        for name, operation in operations(document)
        for status, response in operation["responses"].items()
        if not response.get("description")
    ]
    assert unsaid == []


def test_every_body_has_an_example_that_its_schema_allows(document: dict[str, Any]) -> None:
    wrong = []
    for where, content in contents(document):
        given = examples(content)
        if not given and "json" in where:
            wrong.append(f"{where}: no example")
        schema = {**content.get("schema", {}), "components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema)
        wrong += [f"{where}: {error.message}" for one in given for error in validator.iter_errors(one)]
    assert not wrong, "\n".join(wrong)


async def test_every_header_of_an_answer_is_named(document: dict[str, Any]) -> None:
    async with Door().opened() as door:
        answers = [answer async for _, answer, _ in sent(door)] + [answer async for answer in unusual(door)]
    async with Door(requests_per_minute=1, burst=1).opened() as narrow:
        answers += [await narrow.ask(prefer="wait=0") for _ in range(2)]
        answers.append(await narrow.ask(CHAT, "/openai/v1/chat/completions", prefer="wait=0"))
    missing = {name for answer in answers for name in unnamed(document, answer)}
    assert missing == set()
    seen = {name.lower() for answer in answers for name in answer.headers}
    assert {name.lower() for name in document["components"]["headers"]} - seen == set(), "described, and not to be seen"


async def unusual(door: Door) -> AsyncIterator[httpx.Response]:
    """What a collection of examples does not see."""
    yield await door.strangers.get("/v1/jobs")
    yield await door.strangers.get("/openai/v1/models")
    yield await door.ask(accept="text/event-stream")
    door.line.open.clear()
    yield await door.ask(prefer="wait=0")
    yield await door.ask({"id": "waits", "prompt": "?"}, "/v1/analyze/async")
    yield await door.client.get("/v1/jobs/waits/result")
    door.line.open.set()


def test_every_subject_is_described_and_none_is_empty(document: dict[str, Any]) -> None:
    used = {tag for _, operation in operations(document) for tag in operation["tags"]}
    assert used == {tag["name"] for tag in document["tags"] if tag["description"]}
