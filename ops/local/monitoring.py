"""Prometheus and Alertmanager beside a running embedded stack, with the rules that production uses.

Both are programs of the machine (Debian: prometheus, prometheus-alertmanager); they are not part of `up`, which stays
small. Their configuration is derived from ops/prometheus and the addresses of the stack, into `DIR/monitoring`.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from .instance import ProcessState
from .ports import Ports
from .program import StackError

OPS = Path(__file__).parents[1]
HOST = "127.0.0.1"
PROGRAMS = {"prometheus": ("prometheus",), "alertmanager": ("prometheus-alertmanager", "alertmanager")}


@dataclass(frozen=True, slots=True)
class Watch:
    """The two commands, and where their pages are."""

    prometheus: list[str]
    alertmanager: list[str]
    prometheus_url: str
    alertmanager_url: str


def plan(data: Path, processes: Sequence[ProcessState], alerts: Path | None = None) -> Watch:
    """Write the configuration and say what to run. Raises StackError when a program is not installed.

    `alerts` is a configuration of Alertmanager; without one nobody is told, and alerts are looked at on its page.
    """
    folder = data / "monitoring"
    folder.mkdir(parents=True, exist_ok=True)
    prometheus, alertmanager = _found("prometheus"), _found("alertmanager")
    ports = Ports(folder / "ports.json")
    seen, told = ports.asked("prometheus", None, 9090), ports.asked("alertmanager", None, 9093)
    (folder / "targets.json").write_text(json.dumps(targets(processes), indent=1))
    config = configuration(f"{HOST}:{told}", f"{HOST}:{seen}")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    return Watch(
        prometheus=[
            prometheus,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address={HOST}:{seen}",
            f"--web.external-url=http://{HOST}:{seen}",  # or its links name the machine, where it does not listen
        ],
        alertmanager=[
            alertmanager,
            f"--config.file={alerts or OPS / 'alertmanager' / 'quiet.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={HOST}:{told}",
            f"--web.external-url=http://{HOST}:{told}",
            "--cluster.listen-address=",
        ],
        prometheus_url=f"http://{HOST}:{seen}",
        alertmanager_url=f"http://{HOST}:{told}",
    )


def configuration(alertmanager: str, itself: str) -> dict[str, object]:
    """ops/prometheus/prometheus.yml, with the addresses of this machine instead of those of the containers."""
    config: dict[str, object] = yaml.safe_load((OPS / "prometheus" / "prometheus.yml").read_text())
    config["rule_files"] = [str(OPS / "prometheus" / "rules" / "*.yml")]
    config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    found = {"files": ["targets.json"], "refresh_interval": "10s"}
    ours = [
        {
            "job_name": job,
            "file_sd_configs": [found],
            "relabel_configs": [{"source_labels": ["role"], "regex": role, "action": "keep"}, _drop("role")],
        }
        for job, role in (("structured-prompt", "line"), ("structured-prompt-api", "door"))
    ]
    config["scrape_configs"] = [*ours, {"job_name": "prometheus", "static_configs": [{"targets": [itself]}]}]
    return config


def targets(processes: Sequence[ProcessState]) -> list[dict[str, object]]:
    """Every process that counts, named as compose names it: `worker-infer-2` is a worker-infer."""
    return [
        {
            "targets": [f"{HOST}:{process.metrics_port}"],
            "labels": {
                "process": re.sub(r"-\d+$", "", process.name),
                "role": "door" if process.name.startswith("api") else "line",
            },
        }
        for process in processes
        if process.metrics_port
    ]


def run(watch: Watch) -> None:
    """Stay with both until the caller is interrupted; then neither is left.

    Raises StackError when one of them ends by itself.
    """
    commands = (watch.alertmanager, watch.prometheus)
    running = [subprocess.Popen(command) for command in commands]
    try:
        while all(process.poll() is None for process in running):
            _pause(running[-1])
        ended = next(process for process in running if process.poll() is not None)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=10)
    name = Path(commands[running.index(ended)][0]).name
    raise StackError(f"{name} ended with {ended.returncode}: its last lines above say why")


def _pause(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return


def _drop(label: str) -> dict[str, str]:
    return {"regex": label, "action": "labeldrop"}


def _found(name: str) -> str:
    for program in PROGRAMS[name]:
        if path := shutil.which(program):
            return path
    raise StackError(
        f"{name} is not installed: apt-get install --no-install-recommends prometheus prometheus-alertmanager "
        "(Debian, Ubuntu), brew install prometheus alertmanager (macOS), or `docker compose up`, which brings both"
    )
