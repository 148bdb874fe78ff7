"""Workflows of GitHub: what is run there is what was looked at, and what they call is there."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^\s*- uses: [\w.-]+/[\w.-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$")


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_named_by_their_commit(workflow: Path) -> None:
    used = [line for line in workflow.read_text().splitlines() if "uses:" in line]
    assert used
    assert [line for line in used if not PINNED.match(line)] == []
    kept = [step for step in steps(workflow) if "actions/checkout" in step.get("uses", "")]
    assert all(step["with"]["persist-credentials"] is False for step in kept)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_step_makes_the_makefile_knows(workflow: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    made = [word for step in steps(workflow) for word in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))]
    assert made
    assert set(made) <= set(targets)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_what_a_step_runs_of_ours_is_there(workflow: Path) -> None:
    ran = [step["run"] for step in steps(workflow) if "run" in step]
    modules = [name for text in ran for name in re.findall(r"python -m ([\w.]+)", text)]
    assert modules
    assert [name for name in modules if not (ROOT / name.replace(".", "/")).with_suffix(".py").is_file()] == []


@pytest.mark.parametrize(
    ("sites", "red"),
    [
        ([{"@name": "http://127.0.0.1:8000", "alerts": [{"riskcode": "1", "riskdesc": "Low"}]}], False),
        ([{"@name": "http://127.0.0.1:8000", "alerts": [{"riskcode": "2", "riskdesc": "Medium"}]}], True),
        ([{"@name": "http://elsewhere", "alerts": []}], True),
        ([], True),
    ],
)
def test_the_judgement_of_ZAPs_reports_is_red_for_risk_and_for_a_scan_that_looked_at_nothing(
    tmp_path: Path, sites: list[dict[str, Any]], red: bool
) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed, which GitHub's runners have")
    (tmp_path / "zap").mkdir()
    for site in sites:
        for alert in site["alerts"]:
            alert |= {"name": "a fault", "instances": [{"uri": "http://127.0.0.1:8000/docs"}]}
    for name in ("baseline", "api"):
        (tmp_path / "zap" / f"{name}.json").write_text(json.dumps({"site": sites}))
    [judge] = [step["run"] for step in steps(ROOT / ".github/workflows/security.yml") if "jq -e" in step.get("run", "")]
    done = subprocess.run(["bash", "-e", "-c", judge], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) is red, done.stdout + done.stderr
