"""No file of the repository holds a key of ours, of a provider's or of a cloud's: nothing but a look, and offline."""

import subprocess
from pathlib import Path

import pytest

from domain.accounts.keys import generate
from domain.safety.redaction import redacted

MARK = "[secret]"
INVENTED = {"docs/prompt-safety.md", "tests/safety", "tests/api", "tests/shield", "tests/telemetry"}
"""Look-alikes that a test or a page needs."""


def found(text: str) -> int:
    """How many keys are in it: what redaction would take out."""
    return str(redacted(text, ["secret"])).count(MARK) - text.count(MARK)


@pytest.fixture(scope="module")
def texts(root: Path) -> dict[str, str]:
    """Every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root, capture_output=True, text=True, check=False,
    ).stdout.split("\n")  # fmt: skip
    paths = [path for name in listed if name and (path := root / name).is_file()]
    return {str(path.relative_to(root)): path.read_text(errors="replace") for path in paths}


@pytest.mark.parametrize(
    "planted",
    [generate(), "AKIA" + "Q" * 16, "ghp_" + "a" * 36, "sk-proj-" + "b" * 40, "AIza" + "c" * 35],
    ids=["ours", "AWS", "GitHub", "OpenAI", "Google"],
)
def test_a_key_that_is_planted_is_found(planted: str) -> None:
    assert found(f'KEY = "{planted}"\n') == 1


def test_no_file_holds_a_key(texts: dict[str, str]) -> None:
    if not texts:
        pytest.skip("this is no checkout: there is nothing that would be committed")
    assert len(texts) > 700, "a look at nothing would prove nothing"
    leaks = {name for name, text in texts.items() if found(text)}
    assert {name for name in leaks if not name.startswith(tuple(INVENTED))} == set()
