"""Installs the peers, each into a place of its own beside Kafka's jars: their dependencies are not ours."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import Failed
from ops.local.kafka_jars import default_cache

VERSIONS = {
    "litellm": "litellm[proxy]==1.106.2",
    "tensorzero": "tensorzero==2026.6.0",
    "portkey": "@portkey-ai/gateway@1.15.2",
}
_HOME = default_cache() / "peers"


def python_of(peer: str) -> Path:
    """The interpreter of a virtual environment that has `peer`. Raises Failed."""
    place = _HOME / peer
    python = place / "bin" / "python"
    if not (place / "installed").exists():
        uv = Path(sys.executable).with_name("uv")
        _run([str(uv), "venv", "--quiet", "--clear", str(place)])
        _run([str(uv), "pip", "install", "--quiet", "--python", str(python), VERSIONS[peer]])
        (place / "installed").touch()
    return python


def portkey_server() -> Path:
    """The script that node runs. Raises Failed where npm is not installed."""
    if shutil.which("npm") is None:
        raise Failed("npm is not installed: Portkey is left out")
    script = _HOME / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not script.exists():
        _run(
            [
                "npm",
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--prefix",
                str(_HOME / "portkey"),
                VERSIONS["portkey"],
            ]
        )
    return script


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
