"""What every store of destinations does beyond webhooks: buckets, pausing, bounds, what is known of each."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.webhooks.kinds import PER_OBJECT, Bucket
from domain.webhooks.model import Change, Endpoint, Mark, Queued, Wish
from tests.contract.test_webhooks import NOW, Webhooks, endpoint, ids, message, over, stored_in

BUCKET = Bucket("acme-answers", "eu-central-1", "AKIA", None, "p", 60)
SECOND = timedelta(seconds=1)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def webhooks(database: str | None) -> AsyncIterator[Webhooks]:
    async with stored_in(database) as found:
        yield found


def bucket(id: str = "s3_1") -> Endpoint:
    return endpoint(id, kind="s3", bucket=BUCKET, sealed=b"sealed")


async def test_a_bucket_is_kept_as_it_is_and_its_secret_changes_alone(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(bucket())
    await webhooks.endpoints.add(endpoint())
    assert await webhooks.endpoints.get("acme", "s3_1") == bucket()
    other = replace(BUCKET, name="another", every_s=5)
    await webhooks.endpoints.change("acme", "s3_1", Change(bucket=other))
    found = await webhooks.endpoints.change("acme", "s3_1", Change(sealed=b"new"))
    assert found == replace(bucket(), bucket=other, sealed=b"new")
    assert [one.id for one in await webhooks.endpoints.page("acme", 9, None, "webhook")] == ["e1"]
    assert len(await webhooks.endpoints.page("acme", 9, None)) == 2


async def test_what_is_replaced_is_kept_and_changed(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint(redact=("email", "card")))
    assert await webhooks.endpoints.get("acme", "e1") == endpoint(redact=("email", "card"))
    assert await webhooks.endpoints.change("acme", "e1", Change(description="d")) == endpoint(
        redact=("email", "card"), description="d"
    )
    assert await webhooks.endpoints.change("acme", "e1", Change(redact=())) == endpoint(description="d")
    subscriptions = await webhooks.endpoints.subscriptions(0)
    assert subscriptions is not None
    assert subscriptions.endpoints["acme"][0].redact == ()


async def test_what_goes_into_a_bucket_comes_all_at_once_after_a_while(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(bucket())
    await webhooks.deliveries.put([message("a", "s3_1")], NOW)
    await webhooks.deliveries.put([message(f"m{n}", "s3_1") for n in range(200)], NOW + 30 * SECOND)
    assert await webhooks.take(limit=1, other=1, at=NOW + 59 * SECOND) == []
    taken = await webhooks.take(limit=1, other=1, at=NOW + 60 * SECOND)
    assert len(taken) == 201
    assert {one.target.bucket for one in taken if one.target} == {BUCKET}
    assert taken[0].target is not None
    assert taken[0].target.sealed == b"sealed"
    again = NOW + 65 * SECOND
    await webhooks.deliveries.settle([over(one, "failed", again) for one in taken])
    assert len(await webhooks.take(limit=1, other=1, at=again)) == 201


async def test_no_more_goes_into_an_object_than_fits(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(bucket())
    await webhooks.deliveries.put([message(f"m{n}", "s3_1") for n in range(PER_OBJECT + 5)], NOW)
    later = NOW + 60 * SECOND
    assert len(await webhooks.take(limit=9, other=1, at=later)) == PER_OBJECT
    assert len(await webhooks.take(limit=9, other=1, at=later)) == 5  # without waiting again


async def test_a_destination_that_is_paused_gets_nothing_and_loses_nothing(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    await webhooks.endpoints.add(endpoint("e2"))
    await webhooks.endpoints.change("acme", "e1", Change(paused=True))
    subscriptions = await webhooks.endpoints.subscriptions(0)
    assert subscriptions is not None
    assert len(subscriptions.endpoints["acme"]) == 2
    await webhooks.deliveries.put([message("a"), message("b", "e2")], NOW)
    assert ids(await webhooks.take()) == ["b"]
    assert (await webhooks.deliveries.backlog()).due_since != NOW  # nobody is late
    assert await webhooks.deliveries.queued("acme", ["e1"], 9) == {"e1": Queued(1, NOW)}
    found = await webhooks.endpoints.change("acme", "e1", Change(paused=False))
    assert found == endpoint()
    assert ids(await webhooks.take()) == ["a"]


async def test_what_is_known_of_a_destination_is_its_last_success_and_its_last_failure(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    await webhooks.endpoints.mark([Mark("acme", "e1", NOW, None, NOW, 500, "broken\0")])
    await webhooks.endpoints.mark([Mark("acme", "e1", None, at=NOW + SECOND)])
    found = await webhooks.endpoints.get("acme", "e1")
    assert found is not None
    assert (found.failing_since, found.last_success_at, found.last_error_at) == (None, NOW + SECOND, NOW)
    assert (found.last_status, found.last_error.startswith("broken")) == (500, True)
    await webhooks.deliveries.put([message()], NOW)
    [due] = await webhooks.take()
    assert due.target is not None
    assert (due.target.last_success_at, due.target.last_error_at) == (NOW + SECOND, NOW)


async def test_what_waits_is_counted_up_to_a_bound_for_each_of_its_tenant(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    await webhooks.deliveries.put([message(f"m{n}") for n in range(5)], NOW)
    assert await webhooks.deliveries.queued("acme", ["e1", "none"], 9) == {"e1": Queued(5, NOW)}
    assert await webhooks.deliveries.queued("acme", ["e1"], 3) == {"e1": Queued(3, NOW)}
    assert await webhooks.deliveries.queued("globex", ["e1"], 9) == {}


async def test_the_oldest_of_what_waits_for_one_that_accepts_nothing_is_given_up_and_comes_again_on_demand(
    webhooks: Webhooks,
) -> None:
    for id in ("e1", "well", "paused"):
        await webhooks.endpoints.add(endpoint(id))
        await webhooks.deliveries.put([message(f"{id}-{n}", id) for n in range(3)], NOW)
        await webhooks.deliveries.put([message(f"{id}-later", id)], NOW + SECOND)
    await webhooks.endpoints.mark([Mark("acme", "e1", NOW, None, NOW, 500)])
    await webhooks.endpoints.change("acme", "paused", Change(paused=True))
    assert await webhooks.deliveries.trim(2, NOW) == 4
    assert await webhooks.deliveries.trim(2, NOW) == 0
    assert await webhooks.deliveries.queued("acme", ["e1", "well", "paused"], 9) == {
        "e1": Queued(2, NOW), "well": Queued(4, NOW), "paused": Queued(2, NOW),
    }  # fmt: skip
    found = await webhooks.endpoints.get("acme", "e1")
    assert found is not None
    assert found.given_up == 2
    gone = await webhooks.deliveries.get("acme", "e1", "e1-0")
    assert gone is not None
    assert (gone.status, gone.attempts[-1].outcome) == ("failed", "dropped")
    assert "redelivered" in gone.attempts[-1].error
    assert await webhooks.deliveries.again_all("globex", "e1", NOW, NOW) == (0, False)
    assert await webhooks.deliveries.again_all("acme", "e1", NOW, NOW) == (2, False)
    assert len(await webhooks.take(at=NOW + SECOND)) == 8  # all but the one that is paused


async def test_callbacks_that_nobody_takes_are_bounded_once_they_are_an_hour_old(webhooks: Webhooks) -> None:
    host = "callback:c.example"
    await webhooks.deliveries.put([message(f"m{n}", host, url="https://c.example") for n in range(5)], NOW)
    assert await webhooks.deliveries.trim(2, NOW + timedelta(minutes=59)) == 0
    assert await webhooks.deliveries.trim(2, NOW + timedelta(minutes=61)) == 3


async def test_what_waits_for_a_later_attempt_is_due_now_on_demand_and_what_arrived_is_not(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    await webhooks.deliveries.put([message(id) for id in ("waits", "failed", "arrived")], NOW)
    taken = {one.key.id: one for one in await webhooks.take()}
    later = over(taken["waits"], "failed", NOW + timedelta(hours=5))
    await webhooks.deliveries.settle([later, over(taken["failed"], "failed"), over(taken["arrived"])])
    assert await webhooks.deliveries.again_all("acme", "e1", NOW, NOW + SECOND) == (2, False)
    due = await webhooks.deliveries.take(Wish({}, 9, 9, 1 << 30), NOW + SECOND, NOW + 61 * SECOND)
    assert ids(due) == ["failed", "waits"]
    assert {one.tried for one in due} == {0}


async def test_a_destination_that_is_removed_takes_its_lane_with_it(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    await webhooks.endpoints.change("acme", "e1", Change(paused=True))
    await webhooks.endpoints.delete("acme", "e1")
    await webhooks.endpoints.add(endpoint())
    await webhooks.deliveries.put([message()], NOW)
    assert ids(await webhooks.take()) == ["m1"]
