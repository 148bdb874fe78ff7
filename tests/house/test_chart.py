"""ops/helm: rendered and judged where helm is found (make tools TOOLS=helm); its values are always looked at."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml

from cli.main import build
from connectors.sinks import SINKS
from domain import settings
from ops.local.tools import found
from tests.house.test_containers import ON_DEMAND, PROCESSES
from topics.table import CALLS, REQUESTS

VERSIONS = ("1.29", "1.37")
OPEN = ("ingress.enabled=true", "ingress.host=api.example.com", "ingress.tlsSecret=tls", "keda.authentication=kafka")


@pytest.fixture(scope="module")
def values(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "ops/helm/values.yaml").read_text()))


@pytest.fixture(scope="module")
def helm(root: Path) -> Callable[..., str]:
    program = found("helm")
    if program is None:
        pytest.skip("helm is not here: make tools TOOLS=helm builds it, which takes minutes")

    def run(*words: str, fails: bool = False) -> str:
        done = subprocess.run(
            [program, *words], cwd=root, capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def rendered(helm: Callable[..., str], *more: str) -> Iterator[dict[str, Any]]:
    words = [word for one in more for word in ("--set", one)]
    yield from filter(None, yaml.safe_load_all(helm("template", "sp", "ops/helm", *words)))


def judged(judge: Path, version: str, objects: list[dict[str, Any]], directory: Path) -> int:
    """The exit code of kubernetes-validate."""
    file = directory / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return subprocess.run([judge, "--strict", "-k", version, file], check=False, timeout=60).returncode


def test_the_values_fit_their_schema(root: Path, values: dict[str, Any]) -> None:
    schema = json.loads((root / "ops/helm/values.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(values)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**values, "nonsense": 1})


def test_every_process_is_there_with_a_command_of_ours(values: dict[str, Any]) -> None:
    running = {name for name, process in values["processes"].items() if process["replicas"]}
    assert running == PROCESSES
    assert set(values["processes"]) - running == ON_DEMAND | {f"sink-{name}" for name in SINKS} - PROCESSES
    for name, process in values["processes"].items():
        words = list(process["command"])
        command = typer.main.get_command(build())
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context(name, words)


def test_settings_and_secrets_are_ones_that_a_process_takes(values: dict[str, Any]) -> None:
    known = {field.alias for field in settings.Settings.model_fields.values()}
    assert {*values["settings"], *values["secrets"]["files"]} <= known


def test_a_worker_is_given_the_time_it_needs_to_drain(values: dict[str, Any]) -> None:
    drain = settings.Settings.model_fields["drain_s"].default
    assert values["terminationGracePeriodSeconds"] >= drain + 10


def test_helm_finds_nothing_wrong(helm: Callable[..., str]) -> None:
    assert "0 chart(s) failed" in helm("lint", "ops/helm", "--strict")
    assert "replicas" in helm("template", "sp", "ops/helm", "--set", "processes.api.replicas=-1", fails=True)


def test_kubernetes_knows_every_field(root: Path, helm: Callable[..., str], tmp_path: Path) -> None:
    judge = root / ".chart/bin/kubernetes-validate"
    if not judge.is_file():
        pytest.skip("Kubernetes' schemas are not here: make chart installs them")
    objects = list(rendered(helm, *OPEN))
    # KEDA's own, which Kubernetes' schemas do not have
    known = [one for one in objects if one["kind"] != "ScaledObject"]
    for version in VERSIONS:
        assert judged(judge, version, known, tmp_path) == 0
        assert judged(judge, version, [{**known[0], "nonsense": 1}], tmp_path) != 0
    assert Counter(one["kind"] for one in objects) == {
        "ServiceAccount": 1, "NetworkPolicy": 2, "Ingress": 1, "Job": 2, "Deployment": 6, "Service": 1,
        "PodDisruptionBudget": 4, "ScaledObject": 2,
    }  # fmt: skip


def test_pods_can_change_nothing_and_are_asked_on_the_port_of_metrics(helm: Callable[..., str]) -> None:
    for one in rendered(helm, *OPEN):
        if one["kind"] not in ("Deployment", "Job"):
            continue
        pod = one["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        # a Service structured-prompt-api would be a setting STRUCTURED_PROMPT_API_PORT
        assert pod["enableServiceLinks"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        if one["kind"] == "Deployment":
            probes = {container[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "liveness", "readiness")}
            assert probes == {"metrics"}
            assert one["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_without_keda_the_replicas_hold(helm: Callable[..., str]) -> None:
    kinds = [one["kind"] for one in rendered(helm, "keda.enabled=false")]
    assert "ScaledObject" not in kinds
    replicas = [
        one["spec"].get("replicas") for one in rendered(helm, "keda.enabled=false") if one["kind"] == "Deployment"
    ]
    assert None not in replicas


def test_what_scales_names_the_topics_that_its_group_reads(helm: Callable[..., str]) -> None:
    """Without a name KEDA counts every topic of the brokers for a group that committed nothing."""
    objects = rendered(helm, "settings.STRUCTURED_PROMPT_TOPIC_PREFIX=eu.")
    triggers = [one["spec"]["triggers"] for one in objects if one["kind"] == "ScaledObject"]
    read = {(one["metadata"]["consumerGroup"], one["metadata"]["topic"]) for scaled in triggers for one in scaled}
    assert read == {
        ("eu.structured-prompt.intake", f"eu.{REQUESTS}"),
        *(("eu.structured-prompt.infer", f"eu.{topic}") for topic in CALLS.values()),
    }


def test_fewer_at_most_than_at_least_is_refused(helm: Callable[..., str]) -> None:
    told = helm("template", "sp", "ops/helm", "--set", "processes.worker-infer.scale.min=13", fails=True)
    assert "processes.worker-infer.scale: min 13 is above max 12" in told


def test_what_the_hooks_leave_nobody_keeps(helm: Callable[..., str]) -> None:
    """Only the jobs are hooks: helm removes no hook when it uninstalls, and these end before it gives up waiting."""
    hooks = [one for one in rendered(helm) if "helm.sh/hook" in one["metadata"].get("annotations", {})]
    assert {one["kind"] for one in hooks} == {"Job"}
    for one in hooks:
        assert "serviceAccountName" not in one["spec"]["template"]["spec"]
        assert one["spec"]["activeDeadlineSeconds"] < 15 * 60


def test_names_are_asked_of_whom_the_values_name(helm: Callable[..., str]) -> None:
    dns = ("networkPolicy.dns.namespace=openshift-dns", "networkPolicy.dns.port=5353",
           "networkPolicy.dns.addresses={169.254.20.10/32}")  # fmt: skip
    (policy, *_) = [one for one in rendered(helm, *dns) if one["kind"] == "NetworkPolicy"]
    asked = policy["spec"]["egress"][0]
    assert asked == {
        "to": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}},
            {"ipBlock": {"cidr": "169.254.20.10/32"}},
        ],
        "ports": [{"protocol": "UDP", "port": 5353}, {"protocol": "TCP", "port": 5353}],
    }
