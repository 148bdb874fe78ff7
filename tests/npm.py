"""Packages of npm's that tests run: from a lock file beside them into `.tools/`, once."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / ".tools"


def installed(locked: Path, name: str) -> Path:
    """The folder whose `node_modules` has `name`; skips the test without node, or a registry to have it from."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip(f"{name} runs where node and npm are installed: apt-get install nodejs npm")
    lock = (locked / "package-lock.json").read_bytes()
    place = TOOLS / f"{name}-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not (place / "node_modules" / name).exists():
        place.mkdir(parents=True, exist_ok=True)
        for file in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(locked / file, place)
        done = subprocess.run(["npm", "ci"], cwd=place, capture_output=True, text=True, timeout=110, check=False)
        if done.returncode:
            pytest.skip(f"{name} cannot be installed here: {done.stderr.strip()[-300:]}")
    return place
