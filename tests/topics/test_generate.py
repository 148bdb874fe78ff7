"""The published schemas are what the code reads and writes."""

import base64
import hashlib
import json
from typing import Any

import jsonschema_rs
import pytest
from pydantic import TypeAdapter

from benchmarks.codec import REQUEST, result
from topics import generate
from topics.codec import Unreadable, encode, read_request
from topics.examples import EXAMPLES
from topics.table import TABLE


def schema(name: str) -> Any:
    return json.loads((generate.DIRECTORY / f"{name}.json").read_bytes())


def test_the_files_are_up_to_date():
    assert generate.main(["--check"]) == 0, "run python -m topics.generate"


def test_drift_is_noticed_and_repaired(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "DIRECTORY", tmp_path / "schemas")
    assert generate.main(["--check"]) == 1
    assert "PromptRequest.json" in capsys.readouterr().err
    assert generate.main([]) == 0
    (tmp_path / "schemas" / "Gone.json").write_text("{}")
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


@pytest.mark.parametrize("name", list(generate.MESSAGES))
def test_every_schema_is_a_schema(name):
    jsonschema_rs.meta.validate(schema(name))


def test_messages_match_their_schemas():
    assert jsonschema_rs.is_valid(schema("PromptRequest"), json.loads(REQUEST))
    assert jsonschema_rs.is_valid(schema("PromptResult"), json.loads(encode(result())))
    assert not jsonschema_rs.is_valid(schema("PromptRequest"), {**json.loads(REQUEST), "promt": "x"})


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_example_is_a_message_of_its_kind(name):
    jsonschema_rs.validate(schema(name), EXAMPLES[name])
    model, _ = generate.MESSAGES[name]
    read = TypeAdapter(model).validate_json(json.dumps(EXAMPLES[name]))
    assert [key for key in EXAMPLES[name] if not hasattr(read, key)] == []


def test_the_letter_of_the_examples_describes_its_own_value():
    letter = EXAMPLES["DeadLetter"]
    value = base64.b64decode(letter["value"])
    assert (letter["size"], letter["sha256"]) == (len(value), hashlib.sha256(value).hexdigest())
    with pytest.raises(Unreadable) as refused:
        read_request(value)
    assert (refused.value.code, refused.value.reason) == (letter["code"], letter["reason"])


def test_every_reference_of_the_asyncapi_document_has_a_target():
    document = json.loads((generate.DIRECTORY / "asyncapi.json").read_bytes())

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for child in value.values() for found in references(child)]
        return [found for child in value for found in references(child)] if isinstance(value, list) else []

    found = references(document)
    assert found
    for reference in found:
        here = document
        for step in reference.removeprefix("#/").split("/"):
            here = here[step]


def test_every_topic_is_a_channel():
    document = json.loads((generate.DIRECTORY / "asyncapi.json").read_bytes())
    assert set(document["channels"]) == {topic.name for topic in TABLE}
    assert document["operations"]["receive.prompt.requests"]["action"] == "receive"
