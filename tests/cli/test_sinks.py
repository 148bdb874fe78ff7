"""Sinks from the command line."""

import asyncio
import json
import os

import pytest

from connectors.postgres.pool import connect
from connectors.postgres.sink_board import PostgresSinkBoard
from domain.errors import Conflict, InvalidRequest, InvalidSettings
from domain.sinks.model import Orders, Report, Rewind
from tests import s3

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("stack")]


def tell() -> Orders:
    async def run() -> Orders:
        pool = await connect(os.environ["DATABASE_URL"], 1)
        try:
            return await PostgresSinkBoard(pool).tell(Report("clickhouse", "one", "waiting", 7, detail="no answer"))
        finally:
            await pool.close()

    return asyncio.run(run())


def test_a_sink_is_listed_paused_resumed_and_replayed(cli) -> None:
    missing = cli("sinks", "pause", "clickhouse")
    assert isinstance(missing.exception, Conflict)
    tell()
    (row,) = json.loads(cli("sinks", "list", "--json").stdout)
    assert (row["name"], row["state"], row["lag"], row["detail"]) == ("clickhouse", "waiting", 7, "no answer")
    assert cli("sinks", "pause", "clickhouse").stdout == "clickhouse is paused\n"
    assert tell().paused_at is not None
    assert "paused" in cli("sinks", "list").stdout
    assert cli("sinks", "resume", "clickhouse").exit_code == 0
    assert cli("sinks", "replay", "clickhouse", "--from", "prompt.results/3@17").exit_code == 0
    assert tell() == Orders(rewind=Rewind(1, None, {("prompt.results", 3): 17}))
    assert cli("sinks", "replay", "clickhouse", "--since", "1h").exit_code == 0
    assert "0 partitions" in cli("sinks", "list").stdout


def test_a_replay_says_where_to_begin(cli) -> None:
    for words in ((), ("--since", "soon"), ("--from", "prompt.results"), ("--since", "1h", "--from", "a/1@1")):
        assert cli("sinks", "replay", "clickhouse", *words).exit_code == 2, words
    assert isinstance(cli("sinks", "replay", "clickhouse", "--from", "Results@1").exception, InvalidRequest)


def test_what_no_manifest_names_is_listed_and_removed(cli, monkeypatch) -> None:
    key = f"results/tenant=acme/date=2026-01-01/hour=12/prompt.results-00000-{3:020}-{5:020}.jsonl.gz"
    with s3.moto() as store:
        client = store.client()
        client.create_bucket(Bucket="lake")
        client.put_object(Bucket="lake", Key=key, Body=b"")
        client.put_object(Bucket="lake", Key=f"_manifests/prompt.results/00000/{9:020}-{0:020}.json", Body=b"{}")
        given = {"BUCKET": "lake", "ENDPOINT": store.url, "REGION": "us-east-1", "ACCESS_KEY_ID": s3.ACCESS,
                 "SECRET_ACCESS_KEY": s3.SECRET}  # fmt: skip
        for name, value in given.items():
            monkeypatch.setenv(f"STRUCTURED_PROMPT_SINK_S3_{name}", value)
        assert json.loads(cli("sinks", "leftovers", "--json").output) == {"removed": False, "objects": [key]}
        assert cli("sinks", "leftovers", "--remove").output == f"{key}\n1 removed\n"
        assert cli("sinks", "leftovers").output == "0 found; --remove removes them\n"
        assert [one["Key"] for one in client.list_objects_v2(Bucket="lake")["Contents"]] == [
            f"_manifests/prompt.results/00000/{9:020}-{0:020}.json"
        ]
    monkeypatch.delenv("STRUCTURED_PROMPT_SINK_S3_BUCKET")
    assert isinstance(cli("sinks", "leftovers").exception, InvalidSettings)
