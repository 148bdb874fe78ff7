"""The list of what the product is made of is whole, and an audit that left something out fails."""

import json
from pathlib import Path

import pytest

from ops.scan.__main__ import ROOT
from ops.scan.report import ScannerFailed, Tools
from ops.scan.supply import LIST, LOCK, missing, pinned, sbom, vulnerable

TEXT = """\
# made by uv
A-b==1.0 \\
    --hash=sha256:00
c_d==2.1 ; sys_platform == 'win32' \\
    --hash=sha256:11
"""


def test_pins_are_read_by_their_plain_names() -> None:
    assert pinned(TEXT, everywhere=False) == {"a-b": "1.0", "c-d": "2.1"}
    assert pinned(TEXT, everywhere=True) == {"a-b": "1.0"}
    assert len(pinned((ROOT / LOCK).read_text(), everywhere=False)) > 100


def test_an_audit_that_left_something_out_is_no_audit() -> None:
    assert missing(TEXT, [{"name": "a_b", "version": "1.0"}], everywhere=True) == []
    assert missing(TEXT, [{"name": "a_b", "version": "0.9"}], everywhere=True) == ["a-b==1.0"]
    assert missing(TEXT, [], everywhere=False) == ["a-b==1.0", "c-d==2.1"]
    with pytest.raises(ScannerFailed, match="pins nothing"):
        missing("", [], everywhere=True)


def test_a_known_fault_is_named_with_what_mends_it() -> None:
    """As pip-audit 2 reports it."""
    fault = {"id": "PYSEC-2018-28", "fix_versions": ["2.20.0"], "aliases": [], "description": ""}
    report = {"dependencies": [{"name": "requests", "version": "2.19.0", "vulns": [fault]}], "fixes": []}
    assert vulnerable(report) == ["requests 2.19.0: PYSEC-2018-28, mended in 2.20.0"]
    assert vulnerable({"dependencies": [{"name": "requests", "version": "9", "vulns": []}]}) == []


def test_the_list_has_every_package_with_its_hashes(tmp_path: Path) -> None:
    tools = Tools(ROOT / ".scan" / "bin")
    if not (tools.bin / "cyclonedx-py").is_file():
        pytest.skip("the scanners are not installed: make scan")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    (tmp_path / LOCK).write_text("anyio==4.16.0 --hash=sha256:" + "0f" * 32 + "\n")
    assert sbom(tools, tmp_path) == 0
    listed = json.loads((tmp_path / LIST).read_text())
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    [component] = listed["components"]
    assert component["purl"] == "pkg:pypi/anyio@4.16.0"
    assert component["externalReferences"][0]["hashes"] == [{"alg": "SHA-256", "content": "0f" * 32}]
