"""A request from a plain Kafka client comes out on prompt.results and in ClickHouse."""

import time
import uuid
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.conftest import Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
LABEL = {"type": "object", "properties": {"label": {"enum": ["positive", "negative"]}}, "required": ["label"]}


def requests(count: int, **more: Any) -> list[dict[str, Any]]:
    run = uuid.uuid4().hex[:8]
    return [
        {"id": f"{run}-{number}", "tenant": "demo", "prompt": f"Parcel {run}-{number} is late.", "output_schema": LABEL}
        | more
        for number in range(count)
    ]


def eventually(product: Product, query: str, expected: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    rows: Any = None
    while time.monotonic() < deadline:
        with suppress(OSError):  # it may just be starting again
            rows = product.clickhouse(query)
        if rows == expected:
            return
        time.sleep(0.3)
    assert rows == expected


def test_a_request_of_a_plain_kafka_client_comes_out_on_results_and_in_clickhouse(product: Product) -> None:
    (body,) = requests(1, tags={"team": "support"})
    product.publish(body)
    found = product.results([body["id"]])
    (result,) = found[body["id"]]
    assert (result["status"], result["provider"], result["usage"]["attempts"]) == ("completed", "simulated", 1)
    assert result["output"]["label"] in ("positive", "negative")
    query = f"SELECT status, toString(cost_usd) AS cost, tags FROM results FINAL WHERE id = '{body['id']}'"
    cost = f"{Decimal(result['usage']['cost_usd']):f}"
    eventually(product, query, [{"status": "completed", "cost": cost, "tags": {"team": "support"}}])
    eventually(
        product,
        f"SELECT outcome, attempt FROM calls FINAL WHERE id = '{body['id']}'",
        [{"outcome": "ok", "attempt": 1}],
    )


def test_the_ledger_the_provider_and_clickhouse_agree_on_the_bill(product: Product) -> None:
    product.control("POST", malformed={"share": 0.3, "kinds": ["wrong_type", "prose"], "until_reasked": True})
    before = product.control()["calls"]
    bodies = requests(150)
    product.publish(*bodies)
    found = product.results([body["id"] for body in bodies])
    assert {rows[0]["status"] for rows in found.values()} == {"completed"}
    attempts = sum(rows[0]["usage"]["attempts"] for rows in found.values())
    assert product.control()["calls"] - before == attempts
    prefix = bodies[0]["id"].split("-")[0]
    query = f"SELECT toUInt32(count()) AS n FROM calls FINAL WHERE startsWith(id, '{prefix}-')"
    eventually(product, query, [{"n": attempts}])


def test_what_was_repaired_or_asked_of_a_stronger_model_is_seen_attempt_by_attempt(product: Product) -> None:
    product.control("POST", model="small", malformed={"share": 1.0, "kinds": ["wrong_type"], "until_reasked": False})
    (escalated,) = requests(1, model="careful", repair={"re_asks": 1})
    (mended,) = requests(1, model="smart", prompt="[[simulate: fenced]] The parcel is late.")
    product.publish(escalated, mended)
    found = product.results([escalated["id"], mended["id"]])
    rows = {body["id"]: found[body["id"]][0] for body in (escalated, mended)}
    assert [rows[body["id"]]["usage"]["attempts"] for body in (escalated, mended)] == [3, 1]
    assert {(row["status"], row["model"]) for row in rows.values()} == {("completed", "large")}
    query = "SELECT model, outcome, repaired FROM calls FINAL WHERE id = '{}' ORDER BY attempt"
    wrong = {"model": "small", "outcome": "invalid_output", "repaired": False}
    right = {"model": "large", "outcome": "ok"}
    eventually(product, query.format(escalated["id"]), [wrong, wrong, right | {"repaired": False}])
    eventually(product, query.format(mended["id"]), [right | {"repaired": True}])


@pytest.mark.parametrize(
    "name",
    [
        "worker-intake-1", "worker-infer-1", "worker-wake-1", "sink-clickhouse", "api-1",
        "kafka", "postgres", "redis", "clickhouse", "provider",
    ],
)  # fmt: skip
def test_any_process_may_be_killed_and_every_request_is_answered_once(product: Product, name: str) -> None:
    product.control("POST", latency_ms={"mean": 400, "jitter": 300})
    bodies = requests(200)
    product.publish(*bodies[:120])
    product.results([body["id"] for body in bodies[:5]], 30)
    product.kill(name)
    if name != "kafka":
        product.publish(*bodies[120:])
    else:
        product.wait_healthy()
        product.publish(*bodies[120:])
    found = product.results([body["id"] for body in bodies], 90)
    assert len(found) == len(bodies)
    for rows in found.values():
        assert len({row["_raw"] for row in rows}) == 1
        assert rows[0]["status"] == "completed"
    prefix = bodies[0]["id"].split("-")[0]
    query = (
        "SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(id)) AS ids "
        f"FROM results FINAL WHERE startsWith(id, '{prefix}-')"
    )
    eventually(product, query, [{"rows": 200, "ids": 200}], 60)


def test_bad_input_becomes_dead_letters_and_blocks_nobody(product: Product) -> None:
    (good,) = requests(1)
    marker = uuid.uuid4().hex
    product.publish(b"not json " + marker.encode(), b"", None, b'{"id": NaN}', good)
    product.publish({"id": marker, "tenant": "nobody", "prompt": "x"}, {"tenant": "demo", "prompt": "x"})
    assert product.results([good["id"]])[good["id"]][0]["status"] == "completed"
    letters = product.read("prompt.dead-letters", lambda found: marker in {row["id"] for row in found}, 20)
    codes = {row["code"] for row in letters}
    assert {"unreadable", "unknown_tenant", "invalid_request"} <= codes
