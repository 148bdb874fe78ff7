"""/v1/exports into the bucket, and schedules, over HTTP."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agents.export.making import Maker, MakerPorts
from connectors.memory.accounts import MemoryAccounts
from connectors.memory.metrics import MemoryMetrics
from domain.accounts.model import Tenant
from domain.exports.job import MOST_UNFINISHED
from tests.api.door import Door, assert_problem
from tests.contract.messages import result

ORDER = {"to": "s3", "format": "csv", "fields": ["id"], "since": "1h"}
NIGHTLY = {"name": "nightly", "cron": "0 3 * * *", "time_zone": "Europe/Berlin", "format": "parquet"}


def maker(door: Door) -> Maker:
    accounts = MemoryAccounts([Tenant("acme")])
    ports = MakerPorts(
        door.export_jobs, door.exporter, door.export_files, accounts, MemoryMetrics(), lambda: datetime.now(UTC)
    )
    return Maker(ports, "", True)


async def test_a_job_is_ordered_made_and_given_out_by_a_signed_url(door: Door) -> None:
    await door.sink.write([result("a", completed_at=datetime.now(UTC) - timedelta(minutes=1))])
    ordered = await door.ask(ORDER, "/v1/exports")
    assert (ordered.status_code, ordered.json()["status"]) == (202, "queued")
    place = ordered.headers["location"]
    assert (await door.client.get(place)).json()["url"] is None
    assert await maker(door).turn() == "completed"
    done = (await door.client.get(place)).json()
    assert (done["status"], done["progress"]) == (
        "completed", {"rows": 1, "total_rows": 1, "bytes": len(b'"id"\n"a"\n')},
    )  # fmt: skip
    assert done["url"].startswith(f"memory://acme/{done['id']}/1/results-")
    assert done["file"].endswith(".csv")
    assert_problem(await door.client.delete(place), 409, "finished")
    (row,) = (await door.client.get("/v1/exports")).json()["items"]
    assert "url" not in row
    assert row["id"] == done["id"]


async def test_a_repeat_with_the_same_key_is_the_same_job(door: Door) -> None:
    key = {"idempotency-key": "nightly-1"}
    first = await door.ask(ORDER, "/v1/exports", **key)
    assert await maker(door).turn() == "completed"
    again = await door.ask({**ORDER, "since": "1h"}, "/v1/exports", **key)
    assert (again.status_code, again.content, again.headers["location"]) == (
        202, first.content, first.headers["location"],
    )  # fmt: skip
    assert len((await door.client.get("/v1/exports")).json()["items"]) == 1
    assert (await door.client.get(first.headers["location"])).json()["status"] == "completed"


async def test_another_body_or_tenant_under_a_key_is_no_repeat(door: Door) -> None:
    key = {"idempotency-key": "nightly-1"}
    first = await door.ask(ORDER, "/v1/exports", **key)
    assert_problem(await door.ask({**ORDER, "since": "2h"}, "/v1/exports", **key), 422, "id_conflict")
    assert_problem(await door.ask(ORDER, "/v1/exports", idempotency_key="x" * 256), 422, "invalid_request")
    other = await door.ask(ORDER, "/v1/exports", idempotency_key="nightly-2")
    door.client.headers.update(door.bearer(door.other))
    theirs = await door.ask(ORDER, "/v1/exports", **key)
    assert len({answer.json()["id"] for answer in (first, other, theirs)}) == 3


async def test_a_repeat_is_answered_where_the_tenant_may_have_no_more(door: Door) -> None:
    answers = [await door.ask(ORDER, "/v1/exports", idempotency_key=f"k-{n}") for n in range(MOST_UNFINISHED)]
    assert_problem(await door.ask(ORDER, "/v1/exports", idempotency_key="k-more"), 429, "rate_limited")
    assert (await door.ask(ORDER, "/v1/exports", idempotency_key="k-3")).content == answers[3].content


async def test_a_job_is_its_tenants_alone(door: Door) -> None:
    place = (await door.ask(ORDER, "/v1/exports")).headers["location"]
    door.client.headers.update(door.bearer(door.other))
    assert_problem(await door.client.get(place), 404, "not_found")
    assert_problem(await door.client.delete(place), 404, "not_found")
    assert (await door.client.get("/v1/exports")).json()["items"] == []
    assert_problem(await door.client.get("/v1/exports/exp_1"), 404, "not_found")


async def test_a_job_is_cancelled_once(door: Door) -> None:
    place = (await door.ask(ORDER, "/v1/exports")).headers["location"]
    cancelled = await door.client.delete(place)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert_problem(await door.client.delete(place), 409, "finished")
    assert await maker(door).turn() is None


async def test_pages_of_jobs_follow_one_another(door: Door) -> None:
    made = [(await door.ask(ORDER, "/v1/exports")).json()["id"] for _ in range(3)]
    first = (await door.client.get("/v1/exports?limit=2")).json()
    rest = (await door.client.get("/v1/exports", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [row["id"] for row in (*first["items"], *rest["items"])] == made[::-1]
    assert rest["next_cursor"] is None


async def test_what_a_job_cannot_have_is_said_before_it_begins(door: Door) -> None:
    refused = assert_problem(
        await door.ask({**ORDER, "fields": ["id", "output"]}, "/v1/exports"), 422, "invalid_request"
    )
    assert refused["errors"][0]["path"] == "/fields/1"
    assert "not permitted" in refused["detail"]
    assert_problem(await door.ask({**ORDER, "after": "a"}, "/v1/exports"), 422, "invalid_request")
    assert_problem(await door.ask({**ORDER, "to": "ftp"}, "/v1/exports"), 422, "invalid_request")
    for _ in range(MOST_UNFINISHED):
        assert (await door.ask(ORDER, "/v1/exports")).status_code == 202
    assert_problem(await door.ask(ORDER, "/v1/exports"), 429, "rate_limited")


async def test_without_a_bucket_it_says_so() -> None:
    door = Door()
    door.ports = replace(door.ports, export_files=None)
    async with door.opened():
        for body, path in ((ORDER, "/v1/exports"), (NIGHTLY, "/v1/exports/schedules")):
            refused = assert_problem(await door.ask(body, path), 422, "invalid_request")
            assert "STRUCTURED_PROMPT_EXPORT_S3_BUCKET" in refused["detail"]


async def test_a_schedule_is_made_listed_paused_and_removed(door: Door) -> None:
    made = await door.ask(NIGHTLY, "/v1/exports/schedules")
    assert made.status_code == 201
    assert made.json()["next_at"].endswith(("T01:00:00.000Z", "T02:00:00.000Z"))
    assert_problem(await door.ask(NIGHTLY, "/v1/exports/schedules"), 409, "exists")
    assert (await door.client.get("/v1/exports/schedules")).json()["items"] == [made.json()]
    paused = await door.client.patch("/v1/exports/schedules/nightly", json={"paused": True})
    assert (paused.json()["next_at"], bool(paused.json()["paused_at"])) == (None, True)
    resumed = await door.client.patch("/v1/exports/schedules/nightly", json={"paused": False})
    assert resumed.json() == made.json()
    door.client.headers.update(door.bearer(door.other))
    assert_problem(await door.client.patch("/v1/exports/schedules/nightly", json={"paused": True}), 404, "not_found")
    assert_problem(await door.client.delete("/v1/exports/schedules/nightly"), 404, "not_found")
    door.client.headers.update(door.bearer())
    assert (await door.client.delete("/v1/exports/schedules/nightly")).status_code == 204
    assert_problem(await door.client.delete("/v1/exports/schedules/nightly"), 404, "not_found")


@pytest.mark.parametrize(
    "changed",
    [{"cron": "hourly please"}, {"cron": "* * * * *"}, {"time_zone": "Mars/Base"}, {"name": "a b"}, {"fields": ["x"]},
     {"fields": ["output"]}, {"since": "soon"}, {"until": "1h"}],
)  # fmt: skip
async def test_a_schedule_that_cannot_be_followed_says_why(door: Door, changed: dict[str, object]) -> None:
    assert_problem(await door.ask({**NIGHTLY, **changed}, "/v1/exports/schedules"), 422, "invalid_request")
