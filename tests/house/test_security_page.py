"""docs/security.md answers both of OWASP's lists line by line, with tests that exist."""

import ast
import re
from pathlib import Path

import pytest

TEST = re.compile(r"`(test_\w+)`")
LINES = [*(f"API{n}" for n in range(1, 11)), *(f"LLM{n:02}" for n in range(1, 11))]
ROOMS = ("api/", "agents/", "connectors/", "topics/ and domain/", "cli/ and ops/")


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "security.md").read_text()


def test_every_test_that_is_named_exists(root: Path, page: str) -> None:
    texts = [path.read_text() for path in (root / "tests").rglob("test_*.py")]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    known = {node.name for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, functions)}
    named = set(TEST.findall(page))
    assert len(named) > 20
    assert sorted(named - known) == []


@pytest.mark.parametrize("risk", LINES)
def test_every_risk_is_answered_by_a_test(page: str, risk: str) -> None:
    [row] = re.findall(rf"^\| {risk} .+$", page, re.MULTILINE)
    assert TEST.search(row)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_its_threats(page: str, room: str) -> None:
    section = re.split(r"^#+ ", page, flags=re.MULTILINE)
    [found] = [text for text in section if text.startswith(room)]
    assert found.count("\n| ") > 3


def test_the_topics_of_the_table_are_in_the_list_of_rights(page: str) -> None:
    from topics.table import TABLE

    rights = page.split("## Kafka: who needs which right")[1]
    for topic in TABLE:
        short = re.sub(r"calls\.\w+", "calls.*", topic.name)
        assert f"`{short}`" in rights, topic.name
