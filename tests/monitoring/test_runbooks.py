"""Whoever is woken finds a page, and every command on it exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from cli.main import build

PAGES = sorted((Path(__file__).parents[2] / "docs/runbooks").glob("[A-Z]*.md"))
RUNBOOKS = [page for page in PAGES if page.name != "README.md"]


def commands(page: Path) -> list[list[str]]:
    """The words of each command in a block, and of each that stands in a sentence with all it needs."""
    text = page.read_text()
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines() if line.strip()]
    return [shlex.split(line) for line in [*lines, *re.findall(r"`(structured-prompt [^`]+)`", text)]]


def parsed(words: list[str]) -> click.Context:
    """As the command line would take them. Raises ClickException for a command or an option that does not exist."""
    assert words[0] == "structured-prompt", words
    command: Any = typer.main.get_command(build())
    rest = ["1" if word == "N" else word for word in words[1:]]
    while hasattr(command, "commands"):
        assert rest[0] in command.commands, words
        command = command.commands[rest.pop(0)]
    return command.make_context(words[1], rest)


def test_every_alert_has_a_page_and_every_page_an_alert(alerts: dict[str, dict[str, Any]]) -> None:
    assert sorted(page.stem for page in RUNBOOKS) == sorted(alerts)


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_the_steps_of_a_page_are_commands_that_exist(page: Path) -> None:
    steps = commands(page)
    assert steps
    for words in steps:
        assert parsed(words), words


def test_the_list_names_every_alert_with_its_urgency(alerts: dict[str, dict[str, Any]]) -> None:
    text = (PAGES[0].parent / "README.md").read_text()
    for name, rule in alerts.items():
        assert f"[{name}]({name}.md) | {rule['labels']['severity']} |" in text
