"""ops/staging: compose's second file, and the secrets that it wants."""

import json
import re
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from domain import settings
from ops.staging import __main__ as staging_main
from ops.staging import secrets
from tests.compose import faults
from tests.house.test_containers import ON_DEMAND, PROCESSES


class Override(yaml.SafeLoader):
    """Compose's own tags say how two files become one."""


Override.add_multi_constructor("!", lambda loader, _, node: loader.construct_sequence(node))


@pytest.fixture(scope="session")
def base(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "docker-compose.yml").read_text())["services"])


@pytest.fixture(scope="session")
def staging(root: Path) -> dict[str, Any]:
    return dict(yaml.load((root / "ops/staging/compose.yml").read_text(), Override))  # noqa: S506 (a safe one)


@pytest.fixture(scope="session")
def services(staging: dict[str, Any]) -> dict[str, Any]:
    return dict(staging["services"])


def test_the_file_is_valid_by_the_compose_specification(staging: dict[str, Any]) -> None:
    assert faults(staging) == []


def test_it_adds_a_door_and_backups_to_what_runs_anyway(services: dict[str, Any], base: dict[str, Any]) -> None:
    assert set(services) == {*base, "caddy", "backup"}


def test_every_log_is_bounded(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name


def test_strangers_reach_caddy_and_nothing_else(services: dict[str, Any], base: dict[str, Any]) -> None:
    open_ports = {
        name: ports
        for name, service in services.items()
        if (ports := [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")])
    }
    assert open_ports == {"caddy": ["80:80", "443:443", "443:443/udp"]}


@pytest.mark.parametrize("name", ["caddy", "backup"])
def test_what_it_adds_starts_again_is_watched_and_can_change_nothing(name: str, services: dict[str, Any]) -> None:
    service = services[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]


def test_no_password_has_a_default(services: dict[str, Any]) -> None:
    """A variable of the first file that has one is demanded by the second, and is one that is made."""
    demanded = set(re.findall(r"\$\{(\w+):\?", json.dumps(services)))
    assert demanded == {*secrets.SECRETS, "DOMAIN"}


def test_it_migrates_before_it_stops_anything_and_replaces_who_reads_before_who_writes(
    base: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called: list[str] = []

    def run(words: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        called.append(" ".join(words).partition(" -f ops/staging/compose.yml ")[2])
        return subprocess.CompletedProcess(words, int("topics" in words), "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(secrets, "FILE", tmp_path / ".env")
    assert staging_main.by_containers("staging.example.com", tmp_path) == 1
    steps = [" ".join(step) for step in staging_main.STEPS]
    assert [step for step in called if step] == steps[:3], "what fails ends it before the old version is stopped"
    assert steps[:3] == ["build", "run --rm migrate", "run --rm topics"]
    replaced = [name for step in staging_main.STEPS[3:] for name in step if name in base]
    assert replaced == [*staging_main.READERS, "api"]
    assert set(replaced) == PROCESSES


def test_every_process_believes_caddy_and_nobody_else(staging: dict[str, Any], services: dict[str, Any]) -> None:
    (network,) = staging["networks"]["default"]["ipam"]["config"]
    for name in PROCESSES | ON_DEMAND:
        assert services[name]["environment"]["STRUCTURED_PROMPT_TRUSTED_PROXIES"] == network["subnet"]


def test_its_settings_are_ones_that_a_process_takes(base: dict[str, Any], services: dict[str, Any]) -> None:
    given = {**base["api"]["environment"], **services["api"]["environment"]}
    filled = {name: re.sub(r"\$\{\w+:?[-?]([^}]*)\}", r"\1", text) for name, text in given.items() if text}
    filled["STRUCTURED_PROMPT_KEY_PEPPER"] = "p" * 48
    loaded = settings.load({name: text for name, text in filled.items() if text}, lambda path: Path(path).read_text())
    assert loaded.trusted_proxies, "the limits of an address would be those of Caddy"


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert secrets.ensure(file, "staging.example.com") == list(secrets.SECRETS)
    first = secrets.read(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len({first[name] for name in secrets.SECRETS}) == len(secrets.SECRETS)
    assert all(re.fullmatch("[0-9a-f]{48}", first[name]) for name in secrets.SECRETS)
    file.write_text(file.read_text() + "OPENAI_API_KEY=mine\n")
    assert secrets.ensure(file, "other.example.com") == []
    assert secrets.read(file) == {**first, "DOMAIN": "other.example.com", "OPENAI_API_KEY": "mine"}


def test_a_secret_that_is_missing_is_added_and_nothing_else_changes(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("POSTGRES_PASSWORD=kept\nKEY_PEPPER=\n")
    secrets.ensure(file, "staging.example.com")
    found = secrets.read(file)
    assert found["POSTGRES_PASSWORD"] == "kept"
    assert set(found) == {*secrets.SECRETS, "DOMAIN"}
    assert all(found.values())
