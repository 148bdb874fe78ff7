"""What the guides of deployments tell to type and to write exists, and fits together."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDES = sorted([*DOCS.glob("deploy-*.md"), DOCS / "staging.md", DOCS / "containers.md", DOCS / "upgrade.md"])
NOT_IN_GIT = {"ops/staging/.env"}


@pytest.fixture(scope="module")
def kubernetes() -> str:
    return (DOCS / "deploy-kubernetes.md").read_text()


@pytest.fixture(scope="module")
def values(kubernetes: str) -> dict[str, Any]:
    """The page's my-values.yaml."""
    text = kubernetes.split("`my-values.yaml`:\n\n")[1].split("\n\n", maxsplit=1)[0]
    return dict(yaml.safe_load(re.sub(r"^    ", "", text, flags=re.MULTILINE)))


def test_the_values_of_the_page_are_ones_that_the_chart_takes(values: dict[str, Any]) -> None:
    own = yaml.safe_load((ROOT / "ops/helm/values.yaml").read_text())
    merged = {name: {**part, **values[name]} if isinstance(part, dict) and name in values else values.get(name, part)
              for name, part in own.items()}  # fmt: skip
    assert values.keys() <= own.keys()
    jsonschema.validate(merged, json.loads((ROOT / "ops/helm/values.schema.json").read_text()))


def test_the_secret_of_the_page_has_every_key_that_its_values_ask_for(kubernetes: str, values: dict[str, Any]) -> None:
    """A pod whose Secret lacks one of them never starts."""
    made = set(re.findall(r"--from-literal=(\w+)=", kubernetes))
    assert {*values["secrets"]["files"], *values["secrets"]["variables"]} - made == set()


@pytest.mark.parametrize("page", ["docs/deploy-kubernetes.md", "ops/helm/templates/NOTES.txt"])
def test_who_installs_the_chart_makes_the_tenant_before_its_key(page: str) -> None:
    """The chart's jobs migrate and make topics; a tenant is nobody's job."""
    text = (ROOT / page).read_text()
    assert (
        -1 < text.find("tenants create demo --if-missing --use-env") < text.find("keys create --use-env --tenant demo")
    )


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_files_and_targets_that_a_guide_names_exist(guide: Path) -> None:
    text = guide.read_text()
    named = set(re.findall(r"(?<![\w./-])(?:ops|tests|domain)/[\w./-]*\w", text)) - NOT_IN_GIT
    assert [name for name in named if not (ROOT / name).exists()] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`| )make ([a-z]+)(?= [A-Z]+=|`|$)", text, re.MULTILINE)) <= targets


@pytest.mark.parametrize("cloud", ["digitalocean", "aws", "gcp"])
def test_a_guide_opens_the_ports_of_caddy_and_ssh_to_one_address(cloud: str) -> None:
    text = (DOCS / f"deploy-{cloud}.md").read_text()
    for port in ("tcp[:,](?:ports:)?80", "tcp[:,](?:ports:)?443", "udp[:,](?:ports:)?443"):
        assert re.search(port, text), port
    assert "YOUR.ADDRESS/32" in text
    assert "staging.md#a-machine-from-the-beginning" in text
