"""/v1/sinks: operators see, pause, resume and replay; nobody else does."""

import pytest

from domain.sinks.model import Report, Rewind
from tests.api.door import Door, assert_problem
from topics.base import parse_time

REPORT = Report("clickhouse", "sink-1", "running", 7, 100, 2, 3, None, "")


@pytest.fixture
async def operator(door: Door) -> Door:
    door.client.headers.update(door.bearer(door.other))
    await door.sink_board.tell(REPORT)
    return door


async def test_sinks_are_listed_with_how_they_are(operator: Door) -> None:
    (sink,) = (await operator.client.get("/v1/sinks")).json()["items"]
    assert {name: sink[name] for name in ("name", "state", "lag", "rows", "refused", "errors", "replay")} == {
        "name": "clickhouse", "state": "running", "lag": 7, "rows": 100, "refused": 2, "errors": 3, "replay": None,
    }  # fmt: skip
    assert (await operator.client.get("/v1/sinks/clickhouse")).json() == sink


async def test_a_sink_is_paused_and_resumed(operator: Door) -> None:
    paused = await operator.client.post("/v1/sinks/clickhouse/pause")
    assert (paused.status_code, paused.json()["state"]) == (200, "paused")
    assert parse_time(paused.json()["paused_at"])
    assert (await operator.sink_board.tell(REPORT)).paused_at is not None
    resumed = await operator.client.post("/v1/sinks/clickhouse/resume")
    assert (resumed.json()["state"], resumed.json()["paused_at"]) == ("running", None)


async def test_a_replay_begins_at_a_time_or_at_offsets(operator: Door) -> None:
    asked = await operator.ask({"since": "2026-01-01T00:00:00Z"}, "/v1/sinks/clickhouse/replay")
    assert (asked.status_code, asked.json()["replay"]["since"]) == (202, "2026-01-01T00:00:00.000Z")
    asked = await operator.ask({"offsets": {"prompt.results/3": 17}}, "/v1/sinks/clickhouse/replay")
    assert asked.json()["replay"] == {
        "number": 2, "since": None, "offsets": {"prompt.results/3": 17}, "followed": [],
    }  # fmt: skip
    assert (await operator.sink_board.tell(REPORT)).rewind == Rewind(2, None, {("prompt.results", 3): 17})


@pytest.mark.parametrize(
    "body",
    [{}, {"since": "1h", "offsets": {"prompt.results/3": 1}}, {"since": "soon"}, {"offsets": {}},
     {"offsets": {"prompt.results": 1}}, {"offsets": {"prompt.results/3": -1}}, {"from": "1h"}, b"[]"],
)  # fmt: skip
async def test_a_replay_says_where_to_begin(operator: Door, body: object) -> None:
    assert_problem(await operator.ask(body, "/v1/sinks/clickhouse/replay"), 422, "invalid_request")


async def test_a_sink_nobody_heard_of_is_not_found(operator: Door) -> None:
    assert_problem(await operator.client.get("/v1/sinks/s3"), 404, "not_found")
    for verb in ("pause", "resume", "replay"):
        assert_problem(await operator.ask({"since": "1h"}, f"/v1/sinks/s3/{verb}"), 404, "not_found")


async def test_a_customer_operates_nothing(door: Door) -> None:
    await door.sink_board.tell(REPORT)
    assert_problem(await door.client.get("/v1/sinks"), 403, "forbidden")
    assert_problem(await door.client.get("/v1/sinks/clickhouse"), 403, "forbidden")
    for verb in ("pause", "resume", "replay"):
        assert_problem(await door.ask({"since": "1h"}, f"/v1/sinks/clickhouse/{verb}"), 403, "forbidden")
    assert (await door.sink_board.tell(REPORT)).paused_at is None
    assert_problem(await door.strangers.get("/v1/sinks"), 401, "unauthenticated")
