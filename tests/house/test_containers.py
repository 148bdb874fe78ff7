"""docker-compose.yml, the image and what is mounted into it: valid, closed to the outside, in step with the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from cli.main import build
from domain import settings
from tests.compose import faults

ONCE = {"migrate", "topics", "account"}
ENGINES = {"kafka", "postgres", "redis", "clickhouse"}
PROCESSES = {"api", "worker-intake", "worker-infer", "worker-wake", "sink-clickhouse", "sink-destinations"}
ON_DEMAND = {"sources", "sink-exports"}
SEEN = {"provider", "prometheus", "alertmanager", "node-exporter", "blackbox-exporter", "grafana"}


@pytest.fixture(scope="session")
def compose(root: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text())
    return parsed


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def filled_in(text: str) -> str:
    """`text` as compose fills it in when nothing is set."""
    return re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", text)


def test_the_file_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    assert faults(compose) == []
    assert faults({**compose, "nonsense": 1}) != []


def test_every_part_of_the_line_is_there(services: dict[str, Any]) -> None:
    assert set(services) == ONCE | ENGINES | PROCESSES | SEEN | ON_DEMAND


def test_what_stays_up_has_a_health_check_and_starts_again(services: dict[str, Any]) -> None:
    for name in set(services) - ONCE:
        assert services[name]["healthcheck"]["test"], name
        assert services[name]["restart"] == "unless-stopped", name


def test_nothing_listens_beyond_this_machine(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_keeps_data_keeps_it_in_a_declared_volume(compose: dict[str, Any]) -> None:
    used = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if not volume.startswith((".", "/"))
    }
    assert used == set(compose["volumes"])
    assert used >= ENGINES


def test_what_is_waited_for_exists_and_can_be_waited_for(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for other, wanted in service.get("depends_on", {}).items():
            once = wanted["condition"] == "service_completed_successfully"
            assert once == (other in ONCE), (name, other)
            assert once or "healthcheck" in services[other], (name, other)


@pytest.mark.parametrize("name", sorted(PROCESSES | ON_DEMAND | ONCE))
def test_the_settings_of_a_process_are_ones_it_takes(name: str, services: dict[str, Any]) -> None:
    given = {variable: filled_in(text) for variable, text in services[name]["environment"].items() if text}
    loaded = settings.load(given, lambda path: Path(path).read_text())
    assert loaded.kafka == "kafka:9092"
    assert len(loaded.key_pepper.get_secret_value()) >= 32
    assert loaded.simulated_provider_url == "http://provider:9500/v1"


def test_what_a_provider_of_the_catalogue_needs_is_passed_on(root: Path, services: dict[str, Any]) -> None:
    catalogue = (root / "domain/routing/models.yaml").read_text()
    needed = set(re.findall(r"key_env: (\w+)", catalogue)) | set(re.findall(r"base_url: \"\$\{(\w+)\}", catalogue))
    assert {"GEMINI_API_KEY", "AZURE_API_BASE"} <= needed
    for name in ("api", "worker-intake", "worker-infer"):
        assert needed - services[name]["environment"].keys() == set(), name


@pytest.mark.parametrize("name", sorted(PROCESSES | ON_DEMAND | ONCE))
def test_the_command_of_a_process_is_one_of_ours(name: str, services: dict[str, Any]) -> None:
    words = list(services[name]["command"])
    command = typer.main.get_command(build())
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context(name, words)
    # what is run by hand elsewhere must be told to leave this machine; here the engines are other containers
    assert context.params.get("use_env", name in PROCESSES | ON_DEMAND)


@pytest.mark.parametrize("name", sorted(PROCESSES | ON_DEMAND | ONCE | {"provider"}))
def test_our_containers_can_change_nothing(name: str, services: dict[str, Any]) -> None:
    service = services[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_a_worker_is_given_the_time_it_needs_to_drain(services: dict[str, Any]) -> None:
    drain = settings.Settings.model_fields["drain_s"].default
    for name in PROCESSES | ON_DEMAND:
        assert float(services[name]["stop_grace_period"].removesuffix("s")) >= drain + 10


def test_the_image_is_not_root_and_checks_what_it_installs(root: Path) -> None:
    text = (root / "ops/docker/Dockerfile").read_text()
    stages = text.split("\nFROM ")
    assert len(stages) == 3, "a build stage and a small final one"
    assert "--require-hashes" in stages[1]
    user = re.search(r"^USER (\d+)", stages[2], re.MULTILINE)
    assert user
    assert int(user[1]) > 0
    assert "python:3.11-" in stages[1]
    assert "python:3.11-" in stages[2]


def test_the_image_holds_every_room_and_nothing_secret(root: Path, rooms: tuple[str, ...]) -> None:
    kept = {
        line[1:].split("/")[0] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert kept == {*rooms, "requirements", "pyproject.toml", "README.md", "LICENSE"}


def test_prometheus_scrapes_every_process(root: Path, services: dict[str, Any]) -> None:
    config = yaml.safe_load((root / "ops/prometheus/prometheus.yml").read_text())
    found = {
        name: discovery["port"]
        for job in config["scrape_configs"]
        for discovery in job.get("dns_sd_configs", [])
        for name in discovery["names"]
    }
    assert found == {name: 8000 if name == "api" else 9400 for name in PROCESSES | ON_DEMAND}
    assert services["api"]["environment"]["STRUCTURED_PROMPT_METRICS_PORT"] == "9400"


def test_grafana_finds_its_source_and_its_dashboards(root: Path, services: dict[str, Any]) -> None:
    provisioning = root / "ops/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards/files.yml").read_text())["providers"]
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted
    dashboards = [json.loads(path.read_text()) for path in root.glob("ops/grafana/dashboards/*.json")]
    used = {panel["datasource"]["uid"] for board in dashboards for panel in board["panels"] if panel["type"] != "row"}
    assert used == {source["uid"]}
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (root / "ops/grafana/dashboards" / Path(home).name).exists()
