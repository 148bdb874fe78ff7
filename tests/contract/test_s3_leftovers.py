"""Objects that no manifest names, in a bucket of a server of S3's protocol."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.s3.client import S3, Bucket
from connectors.s3.formats import JsonLines
from connectors.s3.leftovers import Leftovers
from connectors.s3.sink import S3Sink
from domain.ports import Item
from domain.sinks.objects import Range, covered, told_by
from tests import s3
from tests.contract.messages import result
from tests.contract.sinks import numbered


@pytest.fixture(scope="module")
def server() -> Iterator[s3.Store]:
    with s3.moto() as found:
        yield found


@pytest.fixture
async def store(server: s3.Store, tmp_path: Path) -> AsyncIterator[S3]:
    name = tmp_path.name.replace("_", "-")[:60].strip("-")
    server.client().create_bucket(Bucket=name)
    found = S3(Bucket(name, server.url, "us-east-1", s3.ACCESS, s3.SECRET))
    await found.open()
    yield found
    await found.close()


BATCH = numbered([result(f"r{number}", tenant=("acme", "globex")[number % 2]) for number in range(6)])


async def write(store: S3, items: list[Item], prefix: str = "lake") -> None:
    assert await S3Sink(store, JsonLines(), prefix).write(items) == []


async def crash_while_writing(store: S3, items: list[Item]) -> list[str]:
    """The objects are there, their manifest is not."""
    before = set(await store.keys("lake/"))
    await write(store, items)
    for key in await store.keys("lake/_manifests/"):
        if key not in before:
            await store.clear(key)
    return sorted(set(await store.keys("lake/results/")) - before)


async def test_what_a_replay_wrote_anew_is_left_over(store: S3) -> None:
    left = await crash_while_writing(store, BATCH[1:5])
    await write(store, BATCH[:3])
    await write(store, BATCH[3:])
    assert len(left) == 2
    leftovers = Leftovers(store, "lake")
    assert sorted(await leftovers.find()) == left
    whole = await store.keys("lake/")
    await leftovers.remove(left)
    assert await store.keys("lake/") == [key for key in whole if key not in left]
    assert await leftovers.find() == []


async def test_what_is_being_written_is_not(store: S3) -> None:
    """Its rows are in no other object, or not all of them."""
    await crash_while_writing(store, BATCH[1:5])
    assert await Leftovers(store, "lake").find() == []
    await write(store, BATCH[:2])
    assert await Leftovers(store, "lake").find() == []


async def test_a_bucket_that_is_as_it_should_be_has_none(store: S3) -> None:
    assert await Leftovers(store).find() == []
    await write(store, BATCH, "")
    await store.put("results/tenant=acme/notes.txt", b"of somebody else")
    assert await Leftovers(store).find() == []


@pytest.mark.parametrize(
    ("stored", "whole"),
    [([(0, 9)], True), ([(5, 9), (0, 4)], True), ([(0, 3), (5, 9)], False), ([(3, 9)], False), ([(2, 20)], True),
     ([(2, 7)], False), ([], False), ([(2, 4), (5, 8)], True)],
)  # fmt: skip
def test_a_range_is_covered_where_no_offset_is_missing(stored: list[tuple[int, int]], whole: bool) -> None:
    assert covered(Range(2, 8), [Range(*one) for one in stored]) is whole


def test_a_key_tells_its_range() -> None:
    name = f"prompt.results-00003-{7:020}-{9:020}.parquet"
    assert told_by(f"lake/results/tenant=a.b/date=2026-01-01/hour=13/{name}") == (("prompt.results", 3), Range(7, 9))
    assert told_by(f"lake/{name}") is None
