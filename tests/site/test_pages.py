"""The pages of docs/: their links lead somewhere, and what they claim of codes, messages and queries holds."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from api.problems import TITLES
from benchmarks.peers.__main__ import PAGES as PAGES_OF_PEERS
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


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What the site is made of, to be changed."""
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copytree(ROOT / "ops" / "site", tmp_path / "ops" / "site")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    return tmp_path


def build(source: Path) -> subprocess.CompletedProcess[str]:
    """Does what `make site` does."""
    recipe = re.search(r"^site: .*\n\t@(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    command = recipe[1].replace("$(BIN)/mkdocs", f"{sys.executable} -m mkdocs")
    return subprocess.run(["sh", "-c", command], cwd=source, capture_output=True, text=True, check=False)


def test_the_site_builds_strictly(source: Path) -> None:
    done = build(source)
    assert done.returncode == 0, done.stdout + done.stderr
    site = source / "build" / "site"
    assert "10 · How do providers compare" in (site / "queries.html").read_text()
    found = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    light = {one["location"].split("/")[0] for one in found if one.get("boost", 1) < 1}
    assert light == {"runbooks", "decisions"}, "a page that explains comes before notes that name the thing"


def test_a_fault_of_a_page_fails_the_site(source: Path) -> None:
    (source / "docs" / "lost.md").write_text("# Lost\n[nowhere](away.md) [no such part](index.md#away)\n")
    done = build(source)
    assert done.returncode != 0
    for fault in ('not included in the "nav"', "'away.md'", "'#away'"):
        assert fault in done.stdout + done.stderr


def test_no_picture_needs_a_program_that_the_site_has_not() -> None:
    assert [page.name for page in DOCS.rglob("*.md") if "```mermaid" in page.read_text()] == []


def test_the_picture_of_the_states_has_the_ways_of_the_table() -> None:
    text = (DOCS / "life-of-a-request.md").read_text().split("## States")[1].split("\n| table |")[0]
    told = re.findall(r"^\| (\S+) \| (\S+) \| \w", text, re.MULTILINE)
    drawn = re.findall(r'data-from="(\w*)" data-to="(\w+)"', (DOCS / "assets" / "states.svg").read_text())
    assert sorted(drawn) == sorted((begin.strip("–"), end) for begin, end in told if begin != "from")


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


def test_the_figures_beside_gateways_are_the_same_on_both_pages() -> None:
    told = [re.search(r"<!-- peers -->.*<!-- /peers -->", page.read_text(), re.DOTALL) for page in PAGES_OF_PEERS]
    assert len({found and found[0] for found in told}) == 1
    assert all(told)
