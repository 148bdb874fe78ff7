"""A sink's process loads what it needs: vendors' libraries alone, S3's description without its prose."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.alone import without
from connectors.s3.descriptions import Lean

LOADED = """
import asyncio, contextlib, sys
from connectors.s3.client import S3, Bucket
from connectors.sinks import sink_parts
from domain.errors import Unavailable
from domain.settings import load

own = "STRUCTURED_PROMPT_SINK_"
here = "http://127.0.0.1:1"
settings = load({
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "DATABASE_URL": "postgresql://127.0.0.1:1/none", "REDIS_URL":
    "redis://127.0.0.1:1/0", "CLICKHOUSE_URL": here + "/none", "STRUCTURED_PROMPT_KEY_PEPPER": "p" * 32,
    own + "BIGQUERY_DATASET": "project.results", own + "BIGQUERY_ENDPOINT": here,
    own + "BIGQUERY_WRITE_ENDPOINT": "127.0.0.1:1", own + "SNOWFLAKE_ACCOUNT": "acme", own + "SNOWFLAKE_USER": "line",
    own + "SNOWFLAKE_DATABASE": "analytics", own + "SNOWFLAKE_ENDPOINT": here, own + "S3_BUCKET": "results",
}, str)
# each before those that load what it goes without
with contextlib.suppress(Unavailable):
    asyncio.run(S3(Bucket("results", here, None, "key", "secret")).open())
for name in ("bigquery", "snowflake", "s3"):
    sink_parts(settings, name)
needed = {"google.cloud.bigquery_storage_v1", "snowflake.connector", "pyarrow.parquet", "aiobotocore.client"}
assert needed <= sys.modules.keys(), needed - sys.modules.keys()
print(sorted({"pandas", "numpy", "fastavro", "httpx", "pyarrow._s3fs", "boto3"} & sys.modules.keys()))
"""


def test_the_libraries_of_vendors_are_loaded_without_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], check=False, capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_what_is_hidden_is_not_there_and_comes_back() -> None:
    with without("antigravity"), pytest.raises(ImportError):
        import antigravity  # noqa: F401
    assert "antigravity" not in sys.modules


def test_nothing_is_hidden_of_what_others_have_loaded() -> None:
    with without("antigravity", "json"):
        assert sys.modules["json"] is json
        assert "antigravity" not in sys.modules


def test_a_description_is_read_without_what_a_bucket_has_no_use_for(tmp_path: Path) -> None:
    endpoints = {"partitions": [{"services": {"s3": {"endpoints": {}}, "sts": {}, "ec2": {}}}], "version": 3}
    (tmp_path / "endpoints.json").write_text(json.dumps(endpoints))
    shapes = {"documentation": "<p>Long.</p>", "members": {"documentation": {"shape": "Text"}}}
    (tmp_path / "service-2.json.gz").write_bytes(gzip.compress(json.dumps(shapes).encode()))

    lean = Lean()

    assert lean.load_file(str(tmp_path / "endpoints")) == {
        "partitions": [{"services": {"s3": {"endpoints": {}}, "sts": {}}}], "version": 3,
    }  # fmt: skip
    assert lean.load_file(str(tmp_path / "service-2")) == {**shapes, "documentation": ""}
    assert lean.exists(str(tmp_path / "service-2"))
    assert not lean.exists(str(tmp_path / "waiters"))
    assert lean.load_file(str(tmp_path / "waiters")) is None
