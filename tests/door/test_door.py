"""The door under fire: repeats, crashes and kills of the API, on real processes (rule D1)."""

import asyncio
import time
import uuid
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.door.conftest import Door

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
AT_ONCE = 200


def body(id: str | None = None) -> dict[str, Any]:
    """No two ask the same, so that no cache answers."""
    words = id or uuid.uuid4().hex
    return {"prompt": f"Parcel {words} is late."} | ({"id": id} if id else {})


def records(door: Door, ids: set[str]) -> Counter[str]:
    """How often each of these is on prompt.requests by now."""
    rows = door.product.read("prompt.requests", lambda _: False, 3.0)
    return Counter(row["id"] for row in rows if row["id"] in ids)


@pytest.mark.parametrize(("path", "fine"), [("/v1/analyze/async", {202}), ("/v1/analyze", {200, 202})])
async def test_D1_two_hundred_posts_of_one_key_at_once_are_one_record(door: Door, path: str, fine: set[int]) -> None:
    seen: Counter[int] = Counter()
    ids = set()
    async with door.client() as client:
        for _ in range(5):
            key, asked = {"idempotency-key": uuid.uuid4().hex}, body()

            async def post(n: int, key: dict[str, str] = key, asked: dict[str, Any] = asked) -> httpx.Response:
                return await client.post(door.urls[n % 2] + path, json=asked, headers=key)

            answers = await asyncio.gather(*(post(n) for n in range(AT_ONCE)))
            seen.update(answer.status_code for answer in answers)
            assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"in_progress"}
            found = {answer.json()["id"] for answer in answers if answer.status_code in fine}
            assert len(found) == 1
            ids |= found
            others = [await post(n, key, body()) for n in range(20)]
            assert {(other.status_code, other.json()["code"]) for other in others} == {(422, "id_conflict")}
    assert set(seen) <= {*fine, 409}
    results = door.product.results(sorted(ids))
    assert records(door, ids) == dict.fromkeys(ids, 1)
    assert {id: len({row["_raw"] for row in rows}) for id, rows in results.items()} == dict.fromkeys(ids, 1)
    print(f"{path}: 5 keys x {AT_ONCE} posts at two instances: {dict(seen)}, one record each, other bodies 422")


@pytest.mark.parametrize("repeats", [False, True])
async def test_D1_what_a_crash_left_between_its_row_and_its_record_is_usable_again(door: Door, repeats: bool) -> None:
    key, asked = {"idempotency-key": uuid.uuid4().hex}, body()
    async with door.client() as client:
        door.faults.enter("kafka", "refuse")
        try:
            lost = asyncio.create_task(client.post(door.urls[0] + "/v1/analyze/async", json=asked, headers=key))
            query = "SELECT o.id FROM outbox o JOIN jobs j USING (tenant, id) WHERE j.idempotency_key = $1"
            while (id := await door.row(query, key["idempotency-key"])) is None:
                await asyncio.sleep(0.02)
            await door.kill("api-1")
        finally:
            door.faults.enter("kafka", "pass")
        began = time.monotonic()
        [outcome] = await asyncio.gather(lost, return_exceptions=True)
        assert isinstance(outcome, httpx.TransportError), outcome  # it was never answered
        usable = None
        while (status := await _status(client, door.urls[1], id)) != "completed":
            if repeats and usable is None:
                again = await client.post(door.urls[1] + "/v1/analyze/async", json=asked, headers=key)
                assert again.status_code in (202, 409, 503), again.text
                usable = time.monotonic() - began if again.status_code == 202 else None
            assert time.monotonic() - began < 60, status
            await asyncio.sleep(0.1)
    answered = time.monotonic() - began
    assert answered < 30  # what the door promises
    told = f", its key 202 after {usable:.1f} s" if usable else ""
    print(f"crash between row and record: answered {answered:.1f} s later{told}")


async def _status(client: httpx.AsyncClient, url: str, id: str) -> str:
    return str((await client.get(f"{url}/v1/jobs/{id}")).json()["status"])
