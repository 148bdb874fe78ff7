"""Jobs, usage, models, health and the documents."""

from dataclasses import replace
from datetime import UTC, datetime

import jsonschema
import orjson
import pytest

from api.analyze.routes import wait_of
from api.paging import decode_cursor, encode_cursor
from api.ports import Dependency
from api.usage.service import since_of
from domain.errors import Unavailable
from domain.health import Check
from domain.ledger.model import State
from domain.ledger.results import failed
from domain.ports import Item
from tests.api.door import ASK, Door, assert_problem
from topics import codec
from topics.records import UsageRecord
from topics.table import USAGE


async def test_a_job_is_visible_from_the_moment_of_its_202(door: Door) -> None:
    door.line.open.clear()
    accepted = await door.ask({**ASK, "id": "a"}, "/v1/analyze/async")
    job = (await door.client.get(accepted.headers["location"])).json()
    contract = {"id", "status", "run", "created_at", "updated_at", "error", "usage", "links"}
    assert job.keys() == contract | {"waiting", "repeated"}
    assert (job["id"], job["status"], job["run"], job["error"]) == ("a", "accepted", 1, None)
    problem = await door.client.get("/v1/jobs/a/result")
    assert_problem(problem, 409, "not_finished")


async def test_a_finished_job_shows_usage_and_its_result(door: Door) -> None:
    answered = await door.ask({**ASK, "id": "a"})
    job = (await door.client.get("/v1/jobs/a")).json()
    assert (job["status"], job["usage"]["cost_usd"]) == ("completed", "0")
    assert (await door.client.get(job["links"]["result"])).content == answered.content


async def test_a_failed_job_shows_its_error_and_its_result_is_the_whole_one(door: Door) -> None:
    door.line.endings["a"] = failed("provider_error", "down")
    await door.ask({**ASK, "id": "a"})
    assert (await door.client.get("/v1/jobs/a")).json()["error"]["code"] == "provider_error"
    result = await door.client.get("/v1/jobs/a/result")
    assert (result.status_code, result.json()["status"]) == (200, "failed")


async def test_a_result_that_is_no_longer_kept_is_a_410(door: Door) -> None:
    await door.ask({**ASK, "id": "a"})
    row = door.store.requests["acme", "a"]
    assert row.state is State.COMPLETED
    row.results.clear()
    assert_problem(await door.client.get("/v1/jobs/a/result"), 410, "expired")
    assert_problem(await door.ask({**ASK, "id": "a"}), 410, "expired")


async def test_jobs_are_listed_newest_first_in_pages(door: Door) -> None:
    for n in range(5):
        await door.ask({**ASK, "id": f"r{n}"})
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await door.client.get(f"/v1/jobs?limit=2{cursor}")).json()
        seen += [job["id"] for job in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["r4", "r3", "r2", "r1", "r0"]


def test_a_cursor_keeps_microseconds() -> None:
    at = datetime(2026, 1, 1, 0, 0, 0, 123456, UTC)
    assert decode_cursor(encode_cursor(at, "a:b")) == (at, "a:b")


async def test_usage_is_the_callers_own_with_money_as_text(door: Door) -> None:
    record = UsageRecord.model_validate(
        {
            "id": "a", "tenant": "acme", "run": 1, "attempt": 1, "provider": "openai", "model": "gpt-4o-mini",
            "outcome": "ok", "cost_usd": "0.0000094", "price_version": "1", "latency_ms": 3,
            "at": datetime.now(UTC).isoformat(),
        }
    )  # fmt: skip
    await door.sink.write([Item(USAGE, 0, 0, datetime.now(UTC), None, codec.encode(record))])
    rows = (await door.client.get("/v1/usage?by=model,provider&since=1h")).json()
    assert rows["next_cursor"] is None
    [row] = rows["items"]
    assert (row["model"], row["provider"], row["cost_usd"]) == ("gpt-4o-mini", "openai", "0.0000094")
    other = await door.client.get("/v1/usage", headers=door.bearer(door.other))
    assert other.json()["items"] == []
    by_day = (await door.client.get("/v1/usage?by=day")).json()["items"]
    assert by_day[0]["day"] == datetime.now(UTC).date().isoformat()


@pytest.mark.parametrize(
    "text", ["24h", "90s", "90m", "7d", "2w", "999999w", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]
)
def test_a_span_or_a_time_is_understood(text: str) -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    assert now.replace(year=2015) < since_of(text, now) < now
    assert since_of("9999-12-31T23:59:59Z", now) == now


async def test_models_show_names_and_prices_and_no_addresses(door: Door) -> None:
    response = await door.client.get("/v1/models")
    body = response.json()
    assert body["aliases"] == {
        "fast": ["simulated/small"],
        "smart": ["simulated/large"],
        "careful": ["simulated/small", "simulated/large"],
    }
    assert [model["id"] for model in body["items"]] == ["simulated/small", "simulated/large"]
    assert body["items"][0]["price_usd_per_million_tokens"]["input"] == "0.15"
    assert "127.0.0.1" not in response.text


async def test_health_is_public(door: Door) -> None:
    assert (await door.strangers.get("/healthz")).json() == {"ok": True}
    assert (await door.strangers.get("/metrics")).text.startswith("structured_prompt_")


@pytest.mark.parametrize(("essential", "status"), [(True, 503), (False, 200)])
async def test_readiness_names_each_dependency(essential: bool, status: int) -> None:
    async def up() -> Check:
        return Check(ok=True)

    async def down() -> Check:
        raise Unavailable("postgresql://app:secret@db does not answer")

    door = Door()
    door.ports = replace(door.ports, dependencies={"kafka": Dependency(up), "other": Dependency(down, essential)})
    async with door.opened():
        response = await door.strangers.get("/readyz")
    assert response.status_code == status
    assert response.json()["checks"] == {
        "kafka": {"ok": True, "detail": ""},
        "other": {"ok": False, "detail": "Unavailable"},
    }


async def test_every_route_is_documented_with_examples_and_errors(door: Door) -> None:
    document = (await door.strangers.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            good = next(r for code, r in operation["responses"].items() if code.startswith("2"))
            if "204" not in operation["responses"]:
                assert "example" in next(iter(good["content"].values())), where
            if path.startswith("/v1/"):
                assert {"401", "500", "503"} <= operation["responses"].keys(), where
                signed = path.startswith("/v1/sources/{name}/")
                assert bool(operation["security"]) != signed, where
    assert "tenant" not in document["components"]["schemas"]["AnalyzeRequest"]["properties"]


async def test_every_reference_of_the_document_leads_somewhere(door: Door) -> None:
    text = (await door.strangers.get("/openapi.json")).text
    schemas = orjson.loads(text)["components"]["schemas"]
    wanted = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert wanted <= schemas.keys()
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_the_other_documents_are_there(door: Door) -> None:
    assert (await door.strangers.get("/asyncapi.json")).json()["asyncapi"].startswith("3.")
    assert (await door.strangers.get("/docs")).status_code == 200


async def test_large_answers_are_compressed_and_small_ones_are_not(door: Door) -> None:
    large = await door.strangers.get("/openapi.json", headers={"accept-encoding": "gzip"})
    assert large.headers["content-encoding"] == "gzip"
    assert (await door.strangers.get("/openapi.json", headers={"accept-encoding": "br"})).headers[
        "content-encoding"
    ] == "br"
    assert "content-encoding" not in (await door.strangers.get("/healthz", headers={"accept-encoding": "br"})).headers


async def test_requests_are_counted_by_route_and_not_by_path(door: Door) -> None:
    await door.client.get("/v1/jobs/one")
    await door.client.get("/v1/jobs/two")
    await door.client.get("/v1/made-up")
    assert door.metrics.value("http_requests", route="/v1/jobs/{id}", status="404") == 2
    assert door.metrics.value("http_requests", route="unknown") == 1


@pytest.mark.parametrize(
    ("preferences", "seconds"),
    [
        ([], 30), (["wait=5"], 5), (["wait=500"], 120), (["respond-async, wait=10"], 10), (["respond-async"], 0),
        (["handling=lenient", "wait=1"], 1), (["wait=soon"], 30), (["wait=0"], 0),
    ],
)  # fmt: skip
def test_prefer_says_how_long_to_wait(preferences: list[str], seconds: float) -> None:
    assert wait_of(preferences) == seconds
