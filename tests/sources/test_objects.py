"""A bucket's prefix as a source: on a store that speaks S3, into the in-memory line."""

import asyncio
import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.deliver.condition import Condition
from agents.deliver.feeding import RequestSink
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from connectors.memory.broker import MemoryProducer
from connectors.memory.object_book import MemoryObjectBook
from connectors.s3 import source
from connectors.s3.client import S3, Bucket
from connectors.s3.source import OBJECT, ObjectSource
from domain.errors import InvalidSettings
from domain.sources import objects
from domain.sources.decoding import JsonDecoder
from domain.sources.model import Source, load
from tests import s3
from tests.line.memory_line import LABEL, MemoryLine
from topics.table import DEAD_LETTERS, REQUESTS

FILE = f"""
sources:
  tickets:
    bucket: {{name: tickets, prefix: in/, region: us-east-1, access_key_env: A, secret_key_env: S, every_s: 0.01}}
    request: {{tenant: acme, output_schema: {json.dumps(LABEL)}}}
    map: {{prompt: text}}
"""
KEYS = {"A": s3.ACCESS, "S": s3.SECRET}


@pytest.fixture(scope="module")
def store() -> Iterator[s3.Store]:
    with s3.moto() as found:
        yield found


class Feeding:
    """The runner of a bucket's source, over the broker of a line."""

    def __init__(self, store: s3.Store, name: str) -> None:
        self.line, self.book, self.name = MemoryLine(), MemoryObjectBook(), name
        self.client = store.client()
        self.client.create_bucket(Bucket=name)
        found: Source = load(FILE, KEYS)["tickets"]
        assert found.bucket is not None
        self.prefix = replace(found.bucket, bucket=name, endpoint=store.url)
        self.source = replace(found, bucket=self.prefix)

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def reader(self, member: str = "w1") -> ObjectSource:
        where = self.prefix
        bucket = Bucket(where.bucket, where.endpoint, where.region, where.access_key, where.secret_key)
        return ObjectSource("tickets", where, S3(bucket), self.book, member, self.line.clock)

    async def carry(self, rows: int, member: str = "w1") -> list[dict[str, Any]]:
        """Until so many were requests or dead letters in all; the requests."""
        reading, line = self.reader(member), self.line
        condition = Condition("source-tickets", line.clock)
        sink = RequestSink(self.source, MemoryProducer(line.broker), JsonDecoder())
        policy = Policy("source-tickets", first_wait_s=0.0)
        work = deliver(reading, sink, MemoryProducer(line.broker), policy, line.metrics, condition)
        running = asyncio.ensure_future(work)
        async with asyncio.timeout(60):
            while not running.done() and len(line.out(REQUESTS)) + len(line.out(DEAD_LETTERS)) < rows:
                await asyncio.sleep(0.005)
            while not running.done() and await self.unread():
                await asyncio.sleep(0.005)
        condition.stop()
        await running
        return line.out(REQUESTS)

    async def unread(self) -> int:
        listed = self.client.list_objects_v2(Bucket=self.name, Prefix="in/").get("Contents", ())
        known = await self.book.known("tickets", [one["Key"] for one in listed])
        return sum(not (one["Key"] in known and known[one["Key"]].done
                        and known[one["Key"]].version == one["ETag"].strip('"')) for one in listed)  # fmt: skip


def lines(*texts: str) -> bytes:
    return b"\n".join(json.dumps({"text": text}).encode() for text in texts) + b"\n\n"


async def test_rows_of_objects_are_requests_once_each_and_answered(store: s3.Store) -> None:
    feeding = Feeding(store, "once")
    feeding.put("in/a.jsonl", lines("one", "two"))
    feeding.put("in/b.csv.gz", gzip.compress(b"text,n\nthree,1\n"))
    feeding.put("elsewhere/c.jsonl", lines("not this"))
    asked = await feeding.carry(3)
    assert sorted(one["prompt"] for one in asked) == ["one", "three", "two"]
    assert len({one["id"] for one in asked}) == 3
    feeding.put("in/d.jsonl", lines("four"))
    asked = await feeding.carry(4)
    assert [one["prompt"] for one in asked[3:]] == ["four"]
    names = [dict(one.headers)[OBJECT] for one in feeding.line.broker.log[REQUESTS]]
    assert names == [b"in/a.jsonl", b"in/a.jsonl", b"in/b.csv.gz", b"in/d.jsonl"]
    result = await feeding.line.answer(asked[0])
    assert result is not None
    assert result["status"] == "completed"


async def test_an_object_in_the_middle_of_which_a_reader_died_goes_on_there_as_the_same_records(
    store: s3.Store,
) -> None:
    feeding = Feeding(store, "middle")
    feeding.put("in/a.jsonl", lines(*(f"n{number}" for number in range(1_200))))
    dead = feeding.reader()
    handed = []
    async for batch in dead.batches():
        handed.append(batch)
        if len(handed) == 2:
            break  # the second batch was handed out, and never committed
        await dead.commit(batch)
    await dead.close()
    first, second = handed
    feeding.line.pass_time(minutes=2)
    asked = await feeding.carry(700, member="w2")
    assert [one["prompt"] for one in asked] == [f"n{number}" for number in range(500, 1_200)]
    assert asked[0]["id"] == f"s3.middle:{second[0].partition}:{second[0].offset}"
    assert len({(one.partition, one.offset) for one in [*first, *second]}) == 1_000


async def test_an_object_that_was_written_anew_is_read_anew_and_one_that_was_not_is_not(store: s3.Store) -> None:
    feeding = Feeding(store, "anew")
    feeding.put("in/a.jsonl", lines("old"))
    [old] = await feeding.carry(1)
    feeding.put("in/a.jsonl", lines("new"))
    _, new = await feeding.carry(2)
    assert (new["prompt"], new["id"] != old["id"]) == ("new", True)


async def test_where_names_are_in_order_a_look_begins_before_the_last_that_were_read(
    store: s3.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "LOOK_BACK", 2)
    feeding = Feeding(store, "ordered")
    feeding.prefix = replace(feeding.prefix, in_order=True)
    for number in (1, 3, 4, 5):
        feeding.put(f"in/{number}.jsonl", lines(f"n{number}"))
    assert len(await feeding.carry(4)) == 4
    feeding.put("in/2.jsonl", lines("too late"))
    feeding.put("in/35.jsonl", lines("late"))
    feeding.put("in/6.jsonl", lines("n6"))
    reading = feeding.reader()
    found: list[str] = []
    async for batch in reading.batches():
        found += [json.loads(item.value)["text"] for item in batch]
        await reading.commit(batch)
        if len(found) == 2:
            break
    await reading.close()
    assert found == ["late", "n6"]


async def test_a_replay_reads_objects_again_under_the_same_ids(store: s3.Store) -> None:
    feeding = Feeding(store, "again")
    feeding.put("in/a.jsonl", lines("one"))
    [first] = await feeding.carry(1)
    place, long_ago = ("s3.again", 0), datetime(2020, 1, 1, tzinfo=UTC)
    assert await feeding.reader().rewind({place: long_ago, ("other", 0): long_ago}) == {place}
    first_again, second = await feeding.carry(2)
    assert first == first_again == second


async def test_what_is_no_row_is_a_dead_letter_with_a_place_of_its_own_and_its_neighbours_go_on(
    store: s3.Store,
) -> None:
    feeding = Feeding(store, "bad")
    feeding.put("in/a.jsonl", b"nope\n" + lines("one"))
    feeding.put("in/b.jsonl", b"nope\n")
    feeding.put("in/c.gz", b"no gzip")
    [asked] = await feeding.carry(4)
    assert asked["prompt"] == "one"
    letters = feeding.line.out(DEAD_LETTERS)
    assert len({(one["topic"], one["partition"], one["offset"]) for one in letters}) == 3
    assert all("not JSON" in one["reason"] for one in letters)


async def test_one_member_reads_at_a_time_and_a_bucket_that_is_away_is_told(store: s3.Store) -> None:
    feeding = Feeding(store, "held")
    feeding.put("in/a.jsonl", lines("one"))
    assert await feeding.book.hold("tickets", "w0", feeding.line.now, timedelta(minutes=1))
    reader = feeding.reader("w1")
    where = replace(feeding.prefix, bucket="missing")
    away = ObjectSource("tickets", where, S3(Bucket("missing", where.endpoint, where.region, "a", "b")), feeding.book,
                        "w2", feeding.line.clock)  # fmt: skip

    async def read(source: ObjectSource) -> int:
        return sum([len(batch) async for batch in source.batches()])

    async def stop_when_told() -> str:
        while (reason := await away.trouble()) is None:
            await asyncio.sleep(0.01)
        away.stop()
        reader.stop()
        return reason

    async with asyncio.timeout(60):
        *counts, told = await asyncio.gather(read(reader), read(away), stop_when_told())
    assert counts == [0, 0]
    assert "NoSuchBucket" in told
    assert await reader.trouble() is None
    await reader.close()
    await away.close()


def test_rows_are_read_from_a_start_on_and_bombs_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b"], ["1", "x,\ny"], ["2", ""]])
    body = b"\xef\xbb\xbf" + text.getvalue().encode()
    assert [json.loads(row) for row in objects.rows("x.CSV", body, 0)] == [
        {"a": "1", "b": "x,\ny"},
        {"a": "2", "b": ""},
    ]
    assert [json.loads(row) for row in objects.rows("x.csv", body, 1)] == [{"a": "2", "b": ""}]
    two = gzip.compress(b"1\n") + gzip.compress(b"2\n")
    assert list(objects.rows("x.jsonl.gz", two, 0)) == [b"1", b"2"]
    monkeypatch.setattr(objects, "LARGEST", 1_000)
    for broken in (gzip.compress(b"0" * 5_000), two[:-4], b"x"):
        assert list(objects.rows("x.gz", broken, 0)) == [objects.TOO_LARGE]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("topic: a", "two sources"),
        ("format: avro, registry: {url: 'http://a'}", "leave `format` out"),
        ("", "not both set"),
    ],
)
def test_a_bucket_that_is_wrong_stops_the_start(more: str, why: str) -> None:
    bucket = "bucket: {name: tickets, access_key_env: A, secret_key_env: S}"
    entry = ", ".join(filter(None, (bucket, more, "request: {tenant: acme}")))
    environ = {} if not more else KEYS
    with pytest.raises(InvalidSettings, match=why):
        load(f"sources: {{tickets: {{{entry}}}}}", environ)
