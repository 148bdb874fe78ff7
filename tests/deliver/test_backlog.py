"""What the backlog's benchmark says of a sink: what its bucket holds, and how it was while it caught up."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.backlog import Seen
from benchmarks.forgetful import Head, stand_in
from benchmarks.held import held, of_bucket
from connectors.s3.client import S3, Bucket
from connectors.s3.formats import Parquet
from connectors.s3.sink import S3Sink
from tests import s3
from tests.contract.messages import result
from tests.contract.warehouses import sheets_sink

METRICS = b"""
structured_prompt_consumer_lag{partition="0",topic="prompt.results"} 40.0
structured_prompt_consumer_lag{partition="1",topic="prompt.results"} %d
structured_prompt_sink_rows_total{sink="s3",topic="prompt.results"} %d
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[s3.Store]:
    with s3.moto() if s3.program() is None else s3.versitygw(tmp_path) as found:
        yield found


@pytest.mark.integration
async def test_the_rows_of_a_bucket_are_counted_in_its_objects_and_by_its_manifests(store: s3.Store) -> None:
    store.client().create_bucket(Bucket="results")
    bucket = Bucket("results", store.url, "us-east-1", s3.ACCESS, s3.SECRET)
    sink = S3Sink(S3(bucket), Parquet())
    await sink.open()
    for first in (0, 10):
        batch = [result(f"r{n}")._replace(offset=n) for n in range(first, first + 10)]
        assert await sink.write(batch) == []
    await sink.close()
    found = await of_bucket(bucket)
    assert (sum(found.rows.values()), len(found.ids), found.manifests) == (20, 20, 2)
    assert "`s3` holds 20 results of 20 ids" in found.told()
    assert "2 manifests name all of them with their rows" in found.told()
    store.client().delete_object(Bucket="results", Key=min(found.rows))
    assert "NOT the same objects and rows" in (await of_bucket(bucket)).told()


def test_a_fake_counts_rows_and_keeps_the_first_row_of_a_tab_alone() -> None:
    rows = Head()
    rows.append(["id"])
    rows += [["r1"], ["r2"]]
    copied = copy.deepcopy(rows)  # as the fake does, to go back to it
    copied += [["r3"]]
    assert (rows[:1], len(rows), len(copied), list(copied)) == ([["id"]], 3, 4, [["id"]])


async def test_a_fake_in_a_process_of_its_own_says_what_it_took() -> None:
    with stand_in("sheets") as given:
        sink = sheets_sink(given["STRUCTURED_PROMPT_SINK_SHEETS_ENDPOINT"])
        for first in (0, 10):
            assert await sink.write([result(f"r{n}")._replace(offset=n) for n in range(first, first + 10)]) == []
        await sink.close()
        assert await held("sheets", given) == "`sheets`'s fake took 20 rows of results"
    assert given["STRUCTURED_PROMPT_SINK_SHEETS_SPREADSHEET"]


def test_a_sink_with_a_destination_of_its_own_needs_none() -> None:
    with stand_in("postgres") as given:
        assert given == {}


def test_the_highest_lag_and_everything_that_it_said_are_kept() -> None:
    seen = Seen(100.0)
    assert seen.look(120.0, METRICS % (2, 0), "waiting: no answer") == 0
    assert seen.look(110.0, METRICS % (900, 7), "ready") == 7
    assert seen.look(115.0, METRICS % (0, 8), "ready") == 8
    assert (seen.rest_mb, seen.peak_mb, seen.lag) == (100.0, 120.0, 940)
    assert list(seen.said) == ["waiting: no answer", "ready"]
