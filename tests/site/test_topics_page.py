"""The page of the topics leaves no message, no field and no part of one out, and says of each what it is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli._topics_page import SHOWN
from topics.generate import DIRECTORY

PAGE = (Path(__file__).parents[2] / "docs" / "topics.md").read_text()


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """Those of the messages that others read or write, and of the objects inside them."""
    document = json.loads((DIRECTORY / "asyncapi.json").read_bytes())["components"]["schemas"]
    messages = {name: document[name] for name in SHOWN}
    parts = {name: part for one in messages.values() for name, part in one.get("$defs", {}).items()}
    return messages | {name: part for name, part in parts.items() if "properties" in part}


def section(heading: str) -> str:
    found = re.search(rf"\n##+ {re.escape(heading)}\n(.*?)(?=\n##+ |\Z)", PAGE, re.DOTALL)
    assert found, heading
    return found[1]


def test_every_message_and_part_with_its_fields_is_on_it(schemas: dict[str, Any]) -> None:
    for name, schema in schemas.items():
        text = section(name)
        assert [field for field in schema["properties"] if f"| `{field}` |" not in text] == [], name


def test_every_message_has_an_example() -> None:
    for name in SHOWN:
        [example] = re.findall(r"```json\n(.*?)```", section(name), re.DOTALL)
        assert json.loads(example)


def test_no_field_of_a_message_is_told_as_a_filter(schemas: dict[str, Any]) -> None:
    """The words are shared with orders over HTTP, where a field chooses; in a message it says what was."""
    messages = "".join(section(name) for name in SHOWN)
    assert re.findall(r"^\| `\w+` .*\| Only .*$", messages, re.MULTILINE) == []
