"""What is generated is what the code says today."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.settings_page import main, page
from domain.settings import Settings


@pytest.mark.parametrize("module", ["cli.settings_page", "cli.pages", "topics.generate"])
def test_a_generated_page_is_fresh(root: Path, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--check"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_settings_page_names_every_setting() -> None:
    text = page()
    for field in Settings.model_fields.values():
        assert f"`{field.alias}`" in text
        assert field.description


def test_a_stale_page_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.settings_page.PAGE", tmp_path / "settings.md")
    assert main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0
