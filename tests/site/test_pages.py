"""The pages of docs/: their links lead somewhere, and what they claim of codes, messages and queries holds."""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from api.problems import TITLES
from ops.site.links import outside
from topics.request import PromptRequest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The ids that its headings get."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for link in LINK.findall(text):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / unquote(place)).resolve() if place else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 · How do providers compare" in (tmp_path / "queries.html").read_text()


def test_a_link_out_of_the_site_becomes_a_path() -> None:
    text = "see [the list](../domain/x.yaml) and [limits](limits.md), [it](../api/y.py#L3)"
    assert outside(text, "") == "see the list (`domain/x.yaml`) and [limits](limits.md), it (`api/y.py`)"
    assert outside("[up](../limits.md)", "runbooks") == "[up](../limits.md)"


def test_the_page_of_errors_has_every_code_with_its_status() -> None:
    rows = re.findall(r"^\| (`.*)$", (DOCS / "errors.md").read_text(), re.MULTILINE)
    told = {(code, word) for row in rows for code in re.findall(r"`(\w+)`", row.split("|")[0]) for word in row.split()}
    assert [code for code, (status, _) in TITLES.items() if (code, str(status)) not in told] == []


def test_every_request_of_the_page_on_publishing_is_one() -> None:
    text = (DOCS / "publishing.md").read_text()
    found = [json.loads(line) for line in re.findall(r"'(\{\"id\".*\})'", text)]
    found += [json.loads(line.replace('\\"', '"')) for line in re.findall(r'"(\{\\"id\\".*\})"', text)]
    assert len(found) == 2
    for request in found:
        assert PromptRequest.model_validate(request).prompt
