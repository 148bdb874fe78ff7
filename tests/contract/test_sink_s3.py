"""Objects of the S3 sink: which, and that the same range is the same bytes."""

import gzip
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from connectors.s3.client import S3, Bucket
from connectors.s3.formats import JsonLines, Parquet
from connectors.s3.sink import S3Sink
from domain.errors import Unavailable
from domain.ports import Item
from tests import s3
from tests.contract.messages import NOON, call, event, item, result
from tests.contract.sinks import numbered
from topics.table import RESULTS

PLACE = "prompt.results-00000"


@pytest.fixture(scope="module", params=["moto", "versitygw"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Store]:
    if request.param == "versitygw" and s3.program() is None:
        pytest.skip("versitygw is not installed")
    with s3.moto() if request.param == "moto" else s3.versitygw(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def bucket(store: s3.Store) -> Iterator[str]:
    name = "results"
    client = store.client()
    client.create_bucket(Bucket=name)
    yield name
    for key in objects(store, name):
        client.delete_object(Bucket=name, Key=key)
    client.delete_bucket(Bucket=name)


def place(store: s3.Store, bucket: str, secret: str = s3.SECRET) -> Bucket:
    return Bucket(bucket, store.url, "us-east-1", s3.ACCESS, secret)


def objects(store: s3.Store, bucket: str) -> dict[str, bytes]:
    client = store.client()
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=bucket).get("Contents", ())]
    return {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


async def write(store: s3.Store, bucket: str, items: list[Item], **named: Any) -> None:
    """A process of its own that writes one batch."""
    sink = S3Sink(S3(place(store, bucket), named.pop("part", 8 << 20)), named.pop("format", JsonLines()), **named)
    await sink.open()
    assert await sink.write(items) == []
    await sink.close()


def lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


async def test_rows_lie_under_table_tenant_day_and_hour_beside_a_manifest(store: s3.Store, bucket: str) -> None:
    late = result("late", completed_at=NOON + timedelta(hours=13))
    batch = numbered([result(), late, result("r2"), result(tenant="globex"), call(), event()])
    await write(store, bucket, batch, prefix="lake/")
    found = objects(store, bucket)
    name = f"{PLACE}-{0:020}-{3:020}.jsonl.gz"
    rows = {key: [row.get("id") for row in lines(body)] for key, body in found.items() if key.endswith(".gz")}
    assert rows == {
        f"lake/results/tenant=acme/date=2026-11-20/hour=12/{name}": ["r1", "r2"],
        f"lake/results/tenant=acme/date=2026-11-21/hour=01/{name}": ["late"],
        f"lake/results/tenant=globex/date=2026-11-20/hour=12/{name}": ["r1"],
        f"lake/calls/tenant=acme/date=2026-11-20/hour=12/prompt.usage-00000-{0:020}-{0:020}.jsonl.gz": ["r1"],
        f"lake/events/tenant=acme/date=2026-11-20/hour=12/prompt.events-00000-{0:020}-{0:020}.jsonl.gz": ["r1"],
    }
    manifest = json.loads(found[f"lake/_manifests/prompt.results/00000/{3:020}-{0:020}.json"])
    assert (manifest["first_offset"], manifest["last_offset"], manifest["rows"], manifest["refused"]) == (0, 3, 4, 0)
    assert {one["key"]: one["bytes"] for one in manifest["objects"]} == {
        key: len(body) for key, body in found.items() if "/results/" in key
    }


@pytest.mark.parametrize("format", [JsonLines, Parquet])
async def test_a_range_that_is_written_again_is_the_same_bytes(store: s3.Store, bucket: str, format: Any) -> None:
    batch = numbered([result(f"r{n}", tenant=f"t{n % 3}") for n in range(50)])
    await write(store, bucket, batch, format=format())
    first = objects(store, bucket)
    # as after a crash before the manifest was there, and after one before the commit
    for key in [key for key in first if key.startswith("_manifests")]:
        store.client().delete_object(Bucket=bucket, Key=key)
    for _ in range(2):
        await write(store, bucket, batch, format=format())
        assert objects(store, bucket) == first


async def test_a_replay_with_other_batches_fills_only_what_is_missing(store: s3.Store, bucket: str) -> None:
    rows = numbered([result(f"r{n}") for n in range(30)])
    await write(store, bucket, rows[:10])
    await write(store, bucket, rows[20:])
    sink = S3Sink(S3(place(store, bucket)), JsonLines())
    await sink.open()
    for start in (5, 12, 19, 26):  # in the way a replay from offset 5 comes
        await sink.write(rows[start : start + 7])
    await sink.close()
    stored = [row["id"] for key, body in objects(store, bucket).items() if key.endswith(".gz") for row in lines(body)]
    assert sorted(stored) == sorted(f"r{n}" for n in range(30))


async def test_parquet_has_a_typed_column_for_each_field(store: s3.Store, bucket: str) -> None:
    template = {"name": "sentiment", "version": 2}
    batch = numbered([result(template=template, metadata={"ticket": "4711"}), result("r2", output=None)])
    await write(store, bucket, batch, format=Parquet())
    (body,) = [body for key, body in objects(store, bucket).items() if key.endswith(".parquet")]
    first, second = pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()
    assert (first["id"], first["run"], first["template"], first["template_version"]) == ("r1", 1, "sentiment", 2)
    assert (first["cost_usd"], first["completed_at"], first["queued_ms"]) == (Decimal("0.0000094"), NOON, 4)
    assert (first["tags"], first["metadata"]) == ([("team", "support")], '{"ticket":"4711"}')
    assert (first["output"], second["output"], second["template"]) == ('{"label":"positive"}', None, None)


async def test_a_large_object_goes_up_in_parts(store: s3.Store, bucket: str) -> None:
    many = numbered([result(f"r{n}", metadata={"noise": f"{n * 7919:x}" * 400}) for n in range(3000)])

    class Plain(JsonLines):
        """Not under gzip, so that it is large."""

        def begin(self, topic: str) -> Any:
            rows = super().begin(topic)
            finish = rows.finish
            rows.finish = lambda: gzip.decompress(finish())  # type: ignore[method-assign]
            return rows

    await write(store, bucket, many, format=Plain(), part=5 << 20)
    (body,) = [body for key, body in objects(store, bucket).items() if not key.startswith("_")]
    assert len(body) > 5 << 20
    assert [json.loads(line)["id"] for line in body.splitlines()] == [f"r{n}" for n in range(3000)]


async def test_a_bucket_that_is_not_there_is_a_wait_with_its_remedy(store: s3.Store) -> None:
    client = S3(place(store, "nowhere"))
    with pytest.raises(Unavailable, match="create the bucket"):
        await client.open()
    await client.close()


@pytest.mark.skipif(s3.program() is None, reason="versitygw is not installed, and moto takes any secret")
async def test_a_wrong_secret_is_a_wait_that_does_not_show_it(tmp_path: Path) -> None:
    with s3.versitygw(tmp_path) as store:
        store.client().create_bucket(Bucket="results")
        client = S3(place(store, "results", "topsecret" * 4))
        with pytest.raises(Unavailable) as raised:
            await client.open()
        await client.close()
    assert "topsecret" not in str(raised.value)


async def test_an_object_is_read_and_signed_for_others(store: s3.Store, bucket: str) -> None:
    client = S3(place(store, bucket))
    await client.open()
    await client.put("a/b.txt", b"content")
    assert await client.get("a/b.txt") == b"content"
    assert await client.keys("a/") == ["a/b.txt"]
    assert (await client.signed("a/b.txt", 60, "b.txt")).startswith(store.url)
    await client.close()


@pytest.mark.parametrize(
    "value",
    [b"", b"null", b"[]", b"{}", b"\xff\xfe", result("x").value[:-1], result("x").value.replace(b'"acme"', b'"a/b"'),
     result("x").value.replace(b'"run":1', b'"run":"one"'), result("x").value.replace(b'"run":1', b'"run":1e30'),
     result("x").value.replace(b"0.0000094", b"a lot"), result("x").value.replace(b"2026-11-20T12", b"yesterday"),
     result("x").value.replace(b'"support"', b"5")],
    ids=lambda value: repr(value[:30]),
)  # fmt: skip
async def test_poison_is_refused_and_never_its_neighbours(store: s3.Store, bucket: str, value: bytes) -> None:
    sink = S3Sink(S3(place(store, bucket)), Parquet())
    await sink.open()
    batch = numbered([result("before"), item(RESULTS, value), result("after")])
    (refused,) = await sink.write(batch)
    await sink.close()
    assert (refused.item, bool(refused.reason)) == (batch[1], True)
    (body,) = [body for key, body in objects(store, bucket).items() if key.endswith(".parquet")]
    assert pyarrow.parquet.read_table(io.BytesIO(body)).column("id").to_pylist() == ["before", "after"]
