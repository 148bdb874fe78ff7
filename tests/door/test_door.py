"""The door under fire: repeats, crashes and kills of the API, on real processes (rule D1)."""

import asyncio
import time
import uuid
from collections import Counter
from typing import Any

import aiohttp
import httpx
import pytest

from tests.door.conftest import Door, persistent
from tests.door.instances import Instance

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
AT_ONCE = 200
KILLS, A_SECOND = 6, 100
"""The short form. `python -m tests.door --data DIR` has twenty kills at 200 posts a second."""


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


async def test_D1_every_202_is_answered_however_often_an_api_is_killed(door: Door) -> None:
    run = uuid.uuid4().hex[:8]
    asked: dict[str, int] = {}  # how often each had to be asked before its 202
    stop = asyncio.Event()

    async def kills(instances: list[Instance], client: httpx.AsyncClient) -> None:
        """Of the instances that serve one after the other, as soon as there are two: one stays for the clients."""
        try:
            for number in range(KILLS):
                async with asyncio.timeout(90):
                    while len(serving := [one for one in instances if await one.serves(client)]) < 2:
                        await asyncio.sleep(0.1)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(serving[number % len(serving)].kill)
        finally:
            stop.set()

    async def ask(client: aiohttp.ClientSession, urls: list[str], number: int) -> None:
        id = f"{run}-{number}"
        asked[id] = await persistent(client, urls, body(id))

    tasks: list[asyncio.Task[None]] = []
    with door.instances(3) as instances:
        async with door.session() as client, door.client() as watcher:
            while not all([await one.serves(watcher) for one in instances]):
                await asyncio.sleep(0.2)
            urls, began = [one.url for one in instances], time.monotonic()
            killing = asyncio.create_task(kills(instances, watcher))
            while not stop.is_set():
                due = int((time.monotonic() - began) * A_SECOND)
                tasks += [asyncio.create_task(ask(client, urls, number)) for number in range(len(tasks), due)]
                await asyncio.sleep(0.02)
            await asyncio.gather(*tasks, killing)
            seconds = time.monotonic() - began
    results = door.product.results(list(asked), 120)
    ends = Counter(row["status"] for rows in results.values() for row in rows[:1])
    repeated = sum(count > 1 for count in asked.values())
    rate, lost = round(len(asked) / seconds), len(asked) - len(results)
    print(f"{KILLS} kills, {len(asked)} posts at {rate}/s, {repeated} repeated, {lost} lost, {dict(ends)}")
    assert set(asked) - results.keys() == set()
    assert ends == {"completed": len(tasks)}
    assert all(len({row["_raw"] for row in rows}) == 1 for rows in results.values())
