"""docs/guarantees.md names tests that exist, and says so where a rule has none."""

import ast
import re
from pathlib import Path

import pytest

RULES = [*(f"L{n}" for n in range(1, 18)), *(f"S{n}" for n in range(1, 8)), "D1", "D2", "C1"]
TEST = re.compile(r"`(test_\w+)`")
NOT_YET = re.compile(r"^- Not yet: \S.{15,}", re.MULTILINE)


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "guarantees.md").read_text()


@pytest.fixture(scope="module")
def sections(page: str) -> dict[str, str]:
    """Rule -> what stands under its heading."""
    parts = re.split(r"^##+ (.+)$", page, flags=re.MULTILINE)[1:]
    return {title: text for title, text in zip(parts[::2], parts[1::2], strict=True) if title in RULES}


@pytest.fixture(scope="module")
def tests(root: Path) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        node.name
        for path in (root / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, functions) and node.name.startswith("test_")
    }


def test_every_rule_has_its_section_in_order(sections: dict[str, str]) -> None:
    assert list(sections) == RULES


def test_every_test_that_is_named_exists(page: str, tests: set[str]) -> None:
    assert sorted(set(TEST.findall(page)) - tests) == []


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_names_its_tests_or_says_why_there_are_none(rule: str, sections: dict[str, str]) -> None:
    assert TEST.search(sections[rule]) or NOT_YET.search(sections[rule])


@pytest.mark.parametrize("rule", RULES)
def test_a_test_that_carries_numbers_stands_under_one_of_them(rule: str, sections: dict[str, str]) -> None:
    for name in TEST.findall(sections[rule]):
        numbers = re.findall(r"(?<=_)[LSDC]\d+(?=_)", name)
        assert not numbers or rule in numbers, name
