"""Each scanner finds what is planted, and a run that looked at nothing fails. `make scan` installs the programs."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ops.scan.__main__ import ROOT, accepted, files_of, known, run
from ops.scan.report import Finding, ScannerFailed, Seen, Tools
from ops.scan.scanners import SCANNERS, Scanner

TOOLS = Tools(ROOT / ".scan" / "bin")
BY_NAME = {scanner.name: scanner for scanner in SCANNERS}
PLANTED = {
    "sql-built-from-strings": "async def f(pool, name):\n    await pool.fetch(f'SELECT {name}')\n",
    "clock-is-read-in-the-rules": "from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)\n",
    "time-without-a-zone": "from datetime import datetime\n\nNOW = datetime.now()\n",
    "secret-in-a-log-line": "def f(log, settings):\n    log.info('%s', settings.key_pepper.get_secret_value())\n",
    "wait-for-swallows-cancellation": "import asyncio\n\nasyncio.wait_for(f(), 1)\n",
    "http-without-a-time-limit": "import httpx\n\nhttpx.get('https://elsewhere')\n",
    "tls-is-not-checked": "def f(context):\n    context.check_hostname = False\n",
    "secret-compared-with-equals": "def f(secret, given):\n    return secret == given\n",
}
INNOCENT = "import httpx\n\n\ndef f(log, it):\n    log.info('read %s', it.name)\n    httpx.get('x', timeout=3)\n"


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    if not (TOOLS.bin / "semgrep").is_file():
        assert "CI" not in os.environ, "run `make scan` first"
        pytest.skip("the scanners are not installed: make scan")


def plant(root: Path, **texts: str) -> list[str]:
    """Files below root/domain, so that the rules of rules hold; their names."""
    (root / "domain").mkdir()
    for name, text in texts.items():
        (root / "domain" / f"{name}.py").write_text(text)
    return [f"domain/{name}.py" for name in texts]


def workflow(root: Path, text: str) -> str:
    name = ".github/workflows/a.yml"
    (root / name).parent.mkdir(parents=True)
    (root / name).write_text(text)
    return name


def test_every_rule_of_ours_finds_its_fault_and_nothing_else(tmp_path: Path) -> None:
    texts = {name.replace("-", "_"): text for name, text in PLANTED.items()}
    seen = run(BY_NAME["semgrep"], TOOLS, tmp_path, plant(tmp_path, innocent=INNOCENT, **texts))
    found = {(Path(one.path).stem.replace("_", "-"), one.rule) for one in seen.findings}
    assert {(name, name) for name in PLANTED} <= found
    assert not any(name == "innocent" for name, _ in found)
    assert seen.files == len(PLANTED) + 1


def test_bandit_finds_what_is_dangerous(tmp_path: Path) -> None:
    files = plant(tmp_path, orders="import subprocess\n\nsubprocess.run(input(), shell=True)\n", innocent=INNOCENT)
    [found] = run(BY_NAME["bandit"], TOOLS, tmp_path, files).findings
    assert (found.path, found.rule) == ("domain/orders.py", "B602")


def test_a_key_that_is_new_is_found_and_one_that_is_known_is_not(tmp_path: Path) -> None:
    files = plant(tmp_path, key=f"KEY = 'AKIA{'RM7B' * 4}'\n", innocent=INNOCENT)
    seen = run(BY_NAME["detect-secrets"], TOOLS, tmp_path, files)
    assert {one.path for one in seen.findings} == {"domain/key.py"}
    baseline = known(accepted(seen.findings))
    assert [one for one in seen.findings if (one.path, one.mark) not in baseline] == []
    assert (seen.findings[0].path, "another") not in baseline


def test_a_workflow_that_github_would_refuse_is_found(tmp_path: Path) -> None:
    name = workflow(tmp_path, "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    step: []\n")
    [found] = run(BY_NAME["check-jsonschema"], TOOLS, tmp_path, [name]).findings
    assert found.path == ".github/workflows/a.yml"


def test_a_workflow_that_runs_what_a_stranger_wrote_is_found(tmp_path: Path) -> None:
    step = "run: gh issue view ${{ github.event.issue.title }}"
    text = f"on: issues\npermissions: {{}}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - {step}\n"
    found = run(BY_NAME["zizmor"], TOOLS, tmp_path, [workflow(tmp_path, text)]).findings
    assert Finding(".github/workflows/a.yml", 7, "template-injection") in found


def test_what_a_step_runs_is_read_as_the_script_that_it_is(tmp_path: Path) -> None:
    lines = ("- run: make scan", "- run: |", "    make sbom", "    rm $1", "- run: cd ${{ inputs.where }}")
    name = workflow(tmp_path, "\n".join(["jobs:", "  a:", "    steps:", *(f"    {line}" for line in lines)]))
    found = run(BY_NAME["shellcheck"], TOOLS, tmp_path, [name]).findings
    assert [(one.path, one.line, one.rule[:6]) for one in found] == [(name, 7, "SC2086"), (name, 8, "SC2164")]


@pytest.mark.parametrize("scanner", SCANNERS, ids=[scanner.name for scanner in SCANNERS])
def test_a_run_without_files_fails(scanner: Scanner, tmp_path: Path) -> None:
    with pytest.raises(ScannerFailed, match="no file"):
        run(scanner, TOOLS, tmp_path, ["README"] if scanner.name != "detect-secrets" else [])


def test_a_scanner_that_is_blind_or_skips_files_fails(tmp_path: Path) -> None:
    blind = replace(BY_NAME["bandit"], look=lambda *_: Seen(2, ()))
    half = replace(BY_NAME["bandit"], look=lambda *_: Seen(1, (Finding("canary.py", 1, "x"),)))
    files = plant(tmp_path, innocent=INNOCENT)
    with pytest.raises(ScannerFailed, match="overlooks"):
        run(blind, TOOLS, tmp_path, files)
    with pytest.raises(ScannerFailed, match="1 of 2 files"):
        run(half, TOOLS, tmp_path, files)
    with pytest.raises(ScannerFailed, match="make scan"):
        run(BY_NAME["bandit"], Tools(tmp_path), tmp_path, files)


def test_files_are_found_without_git_too(tmp_path: Path) -> None:
    plant(tmp_path, innocent=INNOCENT)
    assert files_of(tmp_path) == ["domain/innocent.py"]


def test_all_of_the_rooms_is_looked_at() -> None:
    files = files_of(ROOT)
    assert len(files) > 600
    assert "api/scopes.py" in files
    assert ".github/workflows/security.yml" in files
    assert not any(name.startswith("tests/") or name.endswith(".lock") for name in files)
