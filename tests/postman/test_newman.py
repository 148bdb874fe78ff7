"""newman runs the Postman collection at the served API, where tests/api/test_postman.py only does as it would.

It is installed from package-lock.json into `.tools/`, once; without node, or a registry to have it from, the test is
skipped.
"""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.api.served import served
from tests.api.test_postman import UNMADE, stand_by
from tests.npm import installed


@pytest.fixture(scope="module")
def newman() -> Path:
    return installed(Path(__file__).parent, "newman") / "node_modules" / ".bin" / "newman"


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
