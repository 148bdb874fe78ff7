"""newman runs the Postman collection at the served API, where tests/api/test_postman.py only does as it would.

It is installed from package-lock.json into `.tools/`, once; without node, or a registry to have it from, the test is
skipped.
"""

import asyncio
import hashlib
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import main
from tests.api.door import Door
from tests.api.test_postman import UNMADE, stand_by

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".tools"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def newman() -> Path:
    if shutil.which("npm") is None:
        pytest.skip("newman runs where node and npm are installed: apt-get install nodejs npm")
    lock = (HERE / "package-lock.json").read_bytes()
    place = CACHE / f"newman-{hashlib.sha256(lock).hexdigest()[:12]}"
    program = place / "node_modules" / ".bin" / "newman"
    if not program.exists():
        place.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, place)
        done = subprocess.run(["npm", "ci"], cwd=place, capture_output=True, text=True, timeout=110, check=False)
        if done.returncode:
            pytest.skip(f"newman cannot be installed here: {done.stderr.strip()[-300:]}")
    return program


@asynccontextmanager
async def served() -> AsyncIterator[Door]:
    """A door in memory that listens on a port; its client goes there too."""
    door, stop = Door(), asyncio.Event()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = door.settings.model_copy(update={"api_host": "127.0.0.1", "api_port": port, "metrics_port": 0})
    tasks = [asyncio.create_task(main.serve(door.ports, settings, stop)), asyncio.create_task(door.line.run())]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=door.bearer()) as door.client:
            async with asyncio.timeout(PATIENCE_S):
                while not await _answers(door.client):
                    await asyncio.sleep(0.05)
            yield door
    finally:
        stop.set()
        await tasks[0]
        tasks[1].cancel()


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).is_success
    except httpx.TransportError:
        return False


async def test_newman_finds_every_answer_as_described(newman: Path, tmp_path: Path) -> None:
    async with served() as door:
        await stand_by(door)
        collection, report = tmp_path / "collection.json", tmp_path / "report.json"
        collection.write_bytes((await door.client.get("/postman.json")).content)
        process = await asyncio.create_subprocess_exec(
            newman, "run", collection, "--env-var", f"api_key={door.other.secret}", "--reporters", "json",
            "--reporter-json-export", report, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
    assert report.exists(), said.decode()
    done = json.loads(report.read_text())["run"]
    failures = [f"{one['source'].get('name')}: {one['error']['message']}" for one in done["failures"]]
    assert (process.returncode, failures) == (0, [])
    assert len(done["executions"]) == done["stats"]["assertions"]["total"] >= 80
    assert dict(map(_answer, done["executions"])).items() >= UNMADE.items()
    assert {name for name, status in map(_answer, done["executions"]) if status >= 400} == UNMADE.keys()


def _answer(execution: dict[str, Any]) -> tuple[str, int]:
    request = execution["request"]
    path = "/" + "/".join(request["url"]["path"])
    for variable in request["url"]["variable"]:
        path = path.replace(f":{variable['key']}", str(variable["value"]))
    return f"{request['method']} {path}", execution["response"]["code"]
