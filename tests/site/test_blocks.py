"""Every block of every page is of a kind that something reads: programs, commands and queries run in the tests beside
this one; here is JSON read as JSON, YAML by who reads it, and lines of a shell by a shell.
"""

import importlib.util
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from connectors.catalog import SHIPPED_MODELS
from domain.routing import catalogue_file
from domain.safety.blocklist import Blocklist
from domain.sources import model as sources
from tests.compose import faults
from topics.request import PromptRequest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
FENCED = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:\A|^\n)((?:    (?! *(?:[-*]|\d+\.) ).*\n)+)", re.MULTILINE)
SHELL = {"sh", "console"}
PROGRAMS = {"python": 4, "js": 2, "go": 1, "java": 1, "sql": 10}
"""How many of each are run: by test_snippets, test_openai_python, test_openai_node, test_publishers, test_queries."""

AS_IT_STANDS = {"text", "mermaid"}
"""What a screen shows, and pictures."""


class Block(NamedTuple):
    page: str
    language: str
    text: str


def _blocks(page: Path) -> list[Block]:
    text, name = page.read_text(), str(page.relative_to(ROOT))
    fenced = [Block(name, found[2], found[3]) for found in FENCED.finditer(text)]
    indented = [Block(name, "sh", found[1]) for found in INDENTED.finditer(FENCED.sub("", text))]
    return fenced + indented


BLOCKS = [block for page in PAGES for block in _blocks(page)]


def of(language: str, page: str = "") -> list[Block]:
    return [block for block in BLOCKS if block.language == language and block.page.startswith(page)]


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    known = {*SHELL, *PROGRAMS, *AS_IT_STANDS, "json", "yaml"}
    assert {(block.page, block.language) for block in BLOCKS if block.language not in known} == set()
    assert {name: len(of(name)) for name in PROGRAMS} == PROGRAMS


def whole(text: str) -> Any:
    """JSON, of which a page may leave out the end of a list or an object."""
    return json.loads(re.sub(r",?\s*…\s*(?=[}\]])", "", text))


def test_json_is_json() -> None:
    for block in of("json"):
        assert whole(block.text), block.page


def test_bodies_with_parts_are_requests() -> None:
    for block in of("json", "docs/content-parts.md"):
        asked = PromptRequest.model_validate({"id": "one", "tenant": "demo", **whole(block.text)})
        assert asked.messages, block.page


def _override() -> None:
    [block] = of("yaml", "docs/containers.md")
    second = yaml.safe_load(block.text)
    assert faults(second) == []
    first = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for name, service in second["services"].items():
        place = first["services"]["sources"]["environment"]["STRUCTURED_PROMPT_SOURCES"]
        assert name in first["services"]
        assert service["environment"]["STRUCTURED_PROMPT_SOURCES"] == place
        assert service["volumes"] == first["services"]["sources"]["volumes"]


def _sources() -> None:
    text = "".join(block.text for block in of("yaml", "docs/sources.md"))
    secrets = dict.fromkeys(sources.secret_names(text), "user:password") | {"FORMS_SECRET": "whsec_" + "c2VjcmV0" * 4}
    # a list of members that the page takes up one by one: the second says what differs from the first
    text = text.replace("  reviews:\n", "  reviews:\n    request: {tenant: acme, template: {name: sentiment}}\n")
    assert set(sources.load(text, secrets)) == {"tickets", "forms", "reviews", "archive"}


def _routing() -> None:
    shipped = yaml.safe_load(SHIPPED_MODELS.read_text())
    [block] = of("yaml", "docs/routing.md")
    for region in ("azure-eu", "azure-us"):
        shipped["providers"][region] = shipped["providers"]["openai"]
        [small] = [one for one in shipped["models"] if (one["provider"], one["model"]) == ("openai", "gpt-4o-mini")]
        shipped["models"].append({**small, "provider": region})
    shipped["aliases"] |= yaml.safe_load(block.text)["aliases"]
    assert set(catalogue_file.read(yaml.safe_dump(shipped)).aliases) >= {"cheap", "spread"}


def _prices() -> None:
    shipped, [block] = yaml.safe_load(SHIPPED_MODELS.read_text()), of("yaml", "docs/budgets.md")
    shipped["models"][0] |= yaml.safe_load(block.text)
    assert len(catalogue_file.read(yaml.safe_dump(shipped)).models[0].price) == 2


def _provider() -> None:
    [block] = of("yaml", "docs/providers.md")
    assert catalogue_file.read(block.text).price_version == "mine-1"


def _blocklist() -> None:
    [block] = of("yaml", "docs/prompt-safety.md")
    assert Blocklist.parse(block.text).found([{"role": "user", "content": "two Bombs"}]) == "weapons"


READERS: dict[str, Callable[[], None]] = {
    "docs/budgets.md": _prices,
    "docs/containers.md": _override,
    "docs/prompt-safety.md": _blocklist,
    "docs/providers.md": _provider,
    "docs/routing.md": _routing,
    "docs/sources.md": _sources,
}


@pytest.mark.parametrize("page", READERS)
def test_who_reads_the_file_takes_what_the_page_tells(page: str) -> None:
    READERS[page]()


def test_every_file_of_a_page_has_its_reader() -> None:
    assert {block.page for block in of("yaml")} == set(READERS)


def lines_of(block: Block) -> str:
    """What is typed: of a screen what follows its prompt."""
    text = re.sub(r"^    ", "", block.text, flags=re.MULTILINE) if block.language == "sh" else block.text
    if block.language == "console":
        text = "\n".join(re.findall(r"^\s*\$ ((?:.*\\\n)*.*)$", text, re.MULTILINE))
    return text


TYPED = [(block.page, lines_of(block)) for block in BLOCKS if block.language in SHELL]


def test_a_shell_can_read_what_is_typed() -> None:
    for page, text in TYPED:
        said = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False).stderr
        assert said == "", (page, text)


def test_targets_and_modules_that_are_typed_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    text = "\n".join(text for _, text in TYPED)
    targets = set(re.findall(r"^ *(?:\w+=\S+ )*make ([a-z][a-z-]*)", text, re.MULTILINE))
    modules = set(re.findall(r"python3? -m ([a-z_]+(?:\.[a-z_]+)*)", text))
    assert {name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)} == set()
    assert {name for name in modules if importlib.util.find_spec(name) is None} == set()
    assert len(targets) > 5
    assert len(modules) > 0
