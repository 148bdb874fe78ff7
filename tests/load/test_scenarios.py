"""The scenarios hold together: their bodies, their shapes, and those of k6, run by node on a twin of its modules."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.api.door import Door
from tests.load.__main__ import target
from tests.load.bodies import batch, poisons, request
from tests.load.scenarios import EVERYTHING, SCENARIOS
from topics.request import PromptRequest

HERE = Path(__file__).parent


def test_every_request_is_one_and_no_two_are_equal() -> None:
    bodies = [request(), request(), *batch()]
    assert {PromptRequest.model_validate({**body, "tenant": "acme"}).id for body in bodies} == {
        body["id"] for body in bodies
    }
    assert len({body["prompt"] for body in bodies}) == len(bodies)


async def test_every_poison_is_refused_as_it_says() -> None:
    async with Door().opened() as door:
        for bad in poisons():
            headers = {"content-type": "application/json", **bad.headers}
            answer = await door.client.post("/v1/analyze/async", content=bad.body, headers=headers)
            assert answer.status_code in bad.statuses, (bad.name, answer.text)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_stages_of_a_scenario_fill_its_time(name: str) -> None:
    scenario = SCENARIOS[name]
    assert sum(time for time, _ in scenario.stages) == pytest.approx(1)
    counts = {scenario.clients_at(step / 1000, 200) for step in range(999)}
    assert counts == {round(200 * share) for _, share in scenario.stages}
    assert scenario.clients_at(1.001, 200) is None


@pytest.fixture(scope="module")
def k6(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the scripts of k6 export and would ask."""
    if shutil.which("node") is None:
        pytest.skip("the k6 scenarios are checked where node is installed")
    directory = tmp_path_factory.mktemp("k6")
    shutil.copytree(HERE / "k6", directory, dirs_exist_ok=True)
    shutil.copytree(HERE / "k6_twin", directory / "node_modules" / "k6")
    shutil.copy(HERE / "k6_twin" / "run.js", directory / "run.mjs")
    (directory / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(["node", "run.mjs"], cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_scenarios_of_k6_are_the_same(k6: dict[str, Any]) -> None:
    assert k6["mix"] == EVERYTHING
    assert [name for name, _ in k6["poisons"]] == [bad.name for bad in poisons() if bad.name != "not UTF-8"]
    assert {name: tuple(statuses) for name, statuses in k6["poisons"]}.items() <= {
        bad.name: bad.statuses for bad in poisons()
    }.items()
    for name, scenario in SCENARIOS.items():
        load = k6["scenarios"][name]["scenarios"]["load"]
        stages = [(stage["duration"], stage["target"]) for stage in load["stages"]]
        wanted = [(f"{time * scenario.seconds:.0f}s", scenario.clients * share) for time, share in scenario.stages]
        assert stages == [stage for time, target in wanted for stage in (("0s", target), (time, target))]
        assert load["preAllocatedVUs"] == 10 * scenario.clients


def test_what_k6_would_ask_is_taken_by_the_api(k6: dict[str, Any]) -> None:
    assert k6["failed"] == []
    assert set(k6["request"]) == set(request())
    assert k6["request"]["output_schema"] == request()["output_schema"]
    started = [json.loads(one["body"]) for one in k6["sent"] if one["method"] == "POST" and '"id"' in one["body"]]
    known = {*request(), "lane", "tags", "rerun"}
    fine = [body for body in started if body.keys() <= known and len(body["prompt"]) < 1000]
    assert any(body.get("rerun") for body in fine)
    assert len([PromptRequest.model_validate({**body, "tenant": "acme"}) for body in fine]) >= 25
    assert {one["url"].split("/v1/")[0] for one in k6["sent"]} == {"http://api.example"}


def test_without_a_key_no_deployment_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOAD_KEY", "")
    with pytest.raises(SystemExit, match=r"no key for https://prompts\.example\.com: say KEY="):
        target("https://prompts.example.com", tmp_path)
    monkeypatch.setenv("LOAD_KEY", "sp_live_x")
    assert target("https://prompts.example.com/", tmp_path).url == "https://prompts.example.com"
