"""npm itself is asked about a lock file, of a registry that knows a fault, none, or does not answer such questions."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ops.scan.__main__ import ROOT
from ops.scan.npm import audited, places
from ops.scan.report import ScannerFailed

FAULT = {
    "id": 1, "url": "https://example.com/1", "title": "Says too much", "severity": "high", "vulnerable_versions": "<2",
    "cwe": [], "cvss": {"score": 0, "vectorString": None},
}  # fmt: skip
VERSIONS = {"1.0.0": {"name": "a", "version": "1.0.0"}}
PACKAGE = {"name": "a", "dist-tags": {"latest": "1.0.0"}, "versions": VERSIONS}
LOCK = {
    "name": "test", "lockfileVersion": 3, "requires": True,
    "packages": {"": {"name": "test", "dependencies": {"a": "1.0.0"}}, "node_modules/a": {"version": "1.0.0"}},
}  # fmt: skip


class Registry(BaseHTTPRequestHandler):
    """`known` is what it knows of faults; None when it takes no such question."""

    known: dict[str, Any] | None = None

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(405 if self.known is None else 200, self.known)

    def do_GET(self) -> None:
        self._answer(200, PACKAGE)

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a lock file, whose registry is ours."""
    if shutil.which("npm") is None:
        pytest.skip("npm is asked where it is installed: apt-get install npm")
    (tmp_path / "package.json").write_text(json.dumps(LOCK["packages"][""]))  # type: ignore[index]
    (tmp_path / "package-lock.json").write_text(json.dumps(LOCK))
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
        for name in filter(lambda name: "proxy" in name.lower(), list(os.environ)):
            monkeypatch.delenv(name)
        yield tmp_path
        server.shutdown()


def test_a_known_fault_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "known", {"a": [FAULT]})
    pinned, [fault] = audited(place)
    assert pinned == 1
    assert fault == "a *: high, Says too much (https://example.com/1)"


def test_what_has_no_fault_and_what_is_harmless_pass(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for known in ({}, {"a": [FAULT | {"severity": "low"}]}):
        monkeypatch.setattr(Registry, "known", known)
        assert audited(place) == (1, [])


def test_a_registry_that_takes_no_such_question_is_no_audit(place: Path) -> None:
    with pytest.raises(ScannerFailed, match="405"):
        audited(place)


def test_a_package_without_a_lock_file_and_a_lock_of_nothing_fail(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "known", {})
    lock = place / "package-lock.json"
    lock.write_text(json.dumps({**LOCK, "packages": {"": {"name": "test"}}}))
    with pytest.raises(ScannerFailed, match="0 of 0"):
        audited(place)
    lock.unlink()
    with pytest.raises(ScannerFailed, match="is not there"):
        audited(place)


def test_every_folder_that_wants_packages_is_found_and_has_a_lock_file() -> None:
    found = places(ROOT)
    assert {ROOT / "tests" / "postman", ROOT / "tests" / "site" / "node", ROOT / "tests" / "site" / "openai"} <= set(
        found
    )
    assert all((one / "package-lock.json").is_file() for one in found)


def test_a_package_that_wants_none_is_not_asked_about(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for name, more in (("without", {}), ("empty", {"dependencies": {}}), ("with", {"devDependencies": {"a": "1"}})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "package.json").write_text(json.dumps({"name": name, **more}))
    assert places(tmp_path) == [tmp_path / "with"]
