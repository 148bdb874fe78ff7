"""Cancelling on the whole stack, over HTTP as a client would."""

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
SLOW = {"latency_ms": {"mean": 25_000, "jitter": 0}}


@pytest.fixture
def client(product: Product) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {product.env['API_KEY']}"}
    with httpx.Client(base_url=product.env["API_URL"], headers=headers, timeout=40) as client:
        yield client


def submitted(client: httpx.Client, **more: Any) -> str:
    """The id of a request that was accepted; no two ask the same."""
    id = uuid.uuid4().hex
    answer = client.post("/v1/analyze/async", json={"id": id, "prompt": f"Parcel {id} is late.", **more})
    assert answer.status_code == 202, answer.text
    return id


def wait_until(client: httpx.Client, id: str, status: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = client.get(f"/v1/jobs/{id}").json()["status"]
        if found == status:
            return
        time.sleep(0.05)
    raise AssertionError(f"{id} is {found}, not {status}")


def test_L11_a_running_call_is_left_within_a_moment_and_billed_as_unknown(
    product: Product, client: httpx.Client
) -> None:
    product.control("POST", **SLOW)
    id = submitted(client)
    wait_until(client, id, "running")
    began = time.monotonic()
    cancelled = client.delete(f"/v1/jobs/{id}")
    wait_until(client, id, "cancelled")
    assert time.monotonic() - began < 10  # the call itself would take 25
    assert cancelled.status_code in (200, 202)
    again = client.delete(f"/v1/jobs/{id}")
    assert (again.status_code, again.json()["status"], again.json()["usage"]["attempts"]) == (200, "cancelled", 1)
    (result,) = product.results([id])[id]
    assert (result["status"], result["error"]["code"]) == ("failed", "cancelled")
    usage, events = (
        [row for row in product.read(topic, lambda rows: any(row["id"] == id for row in rows)) if row["id"] == id]
        for topic in ("prompt.usage", "prompt.events")
    )
    assert [(row["outcome"], row["cost_usd"]) for row in usage] == [("unknown", "0")]
    assert [row["type"] for row in events] == ["request.cancelled"]
    print(f"cancelled in {time.monotonic() - began:.2f} s")


def test_L11_what_waits_for_a_retry_is_cancelled_with_its_bill(product: Product, client: httpx.Client) -> None:
    product.control("POST", failure="error_500")
    id = submitted(client)
    wait_until(client, id, "waiting")
    cancelled = client.delete(f"/v1/jobs/{id}")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled"), cancelled.text
    assert cancelled.json()["usage"]["attempts"] >= 1
    product.control("DELETE")
    calls = product.control()["calls"]
    time.sleep(3)
    assert product.control()["calls"] == calls
    assert [row["status"] for row in product.results([id])[id]] == ["failed"]


def test_L11_who_waits_for_a_cancelled_request_hears_of_it_at_once(product: Product, client: httpx.Client) -> None:
    product.control("POST", **SLOW)
    id, heard = uuid.uuid4().hex, threading.Event()

    def ask() -> httpx.Response:
        heard.set()
        return client.post("/v1/analyze", json={"id": id, "prompt": f"Parcel {id} is late."})

    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(ask)
        heard.wait()
        time.sleep(0.5)
        wait_until(client, id, "running")
        client.delete(f"/v1/jobs/{id}")
        answer = waiting.result(20)
    assert (answer.status_code, answer.json()["code"]) == (409, "cancelled")
    assert answer.json()["result"]["error"]["code"] == "cancelled"


def test_L11_what_is_not_read_yet_is_cancelled_and_never_called(product: Product, client: httpx.Client) -> None:
    before = product.control()["calls"]
    with product.stopped("worker-intake-1"):
        ids = [submitted(client) for _ in range(6)]
        for id in ids:
            answer = client.delete(f"/v1/jobs/{id}")
            assert (answer.status_code, answer.json()["status"]) == (202, "accepted"), answer.text
    found = product.results(ids)
    assert {(row["status"], row["error"]["code"]) for rows in found.values() for row in rows} == {
        ("rejected", "cancelled")
    }
    assert product.control()["calls"] == before


def test_L11_an_answer_that_came_first_stays(product: Product, client: httpx.Client) -> None:
    id = submitted(client)
    wait_until(client, id, "completed")
    refused = client.delete(f"/v1/jobs/{id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "finished")
    assert client.get(f"/v1/jobs/{id}").json()["status"] == "completed"


def test_a_deadline_that_passes_during_the_call_ends_it(product: Product, client: httpx.Client) -> None:
    product.control("POST", **SLOW)
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + 4))
    id = submitted(client, deadline=at)
    (result,) = product.results([id], 20)[id]
    end = (result["status"], result["error"]["code"], result["usage"]["attempts"])
    assert end == ("failed", "deadline_exceeded", 1)
