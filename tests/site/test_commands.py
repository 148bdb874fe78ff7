"""Every command line of ours that a page tells to type is one that the program takes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.exceptions import Exit, TyperException

from cli.main import build

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
OURS = re.compile(r"^(?:\$ )?(?:\.venv/bin/structured-prompt|structured-prompt|sp) (.*)$")
FILES = ("reviews.csv", "label.json", "questions.jsonl", "sources.yaml")


def lines(page: Path) -> Iterator[str]:
    """What follows the program's name, in blocks to be typed."""
    text = re.sub(r"\\\n\s*", "", page.read_text())
    for block in re.findall(r"^```sh\n(.*?)^```|^((?:    .*\n)+)", text, re.DOTALL | re.MULTILINE):
        for line in "".join(block).splitlines():
            for part in re.split(r" \| | && |; ", line.split(" #")[0].strip()):
                if found := OURS.match(part.strip()):
                    yield found[1]


def refused(line: str) -> str | None:
    """What the program says of this command line; None when it takes it."""
    words, command = shlex.split(line), typer.main.get_command(build())
    while hasattr(command, "commands") and words:
        name = words.pop(0)
        if name not in command.commands:
            return f"there is no command {name}"
        command = command.commands[name]
    if hasattr(command, "commands"):
        return None  # a group is named, none of its commands
    try:
        command.make_context("structured-prompt", words)
    except Exit:
        return None
    except TyperException as error:
        return str(error)
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_program_takes_what_the_page_tells(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).touch()
    assert {line: said for line in lines(page) if (said := refused(line))} == {}


def test_a_word_that_is_none_is_noticed() -> None:
    assert refused("budgets create support --amount 5") is not None
    assert refused("usage --by template,model") is None


def test_no_page_tells_a_port_of_the_api_that_nothing_listens_on() -> None:
    """It is in `$API_URL`, or 8000; 8080 is where `make staging WITH=processes` redirects from."""
    told = {page.name for page in PAGES if re.search(r"(?:localhost|127\.0\.0\.1):80(?!00\b)\d\d", page.read_text())}
    assert told == set()
