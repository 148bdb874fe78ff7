"""The house rules read the source as text."""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("topics", "domain", "connectors", "agents", "api", "cli", "ops")


@dataclass(frozen=True)
class Source:
    """One module of ours; `path` is relative to the repository."""

    path: Path
    text: str
    tree: ast.Module


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def rooms() -> tuple[str, ...]:
    return ROOMS


@pytest.fixture(scope="session")
def sources() -> list[Source]:
    """Every module of every room."""
    found = []
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        text = path.read_text()
        found.append(Source(path.relative_to(ROOT), text, ast.parse(text)))
    return found
