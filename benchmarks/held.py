"""What the destinations of sinks hold of results, as they say themselves."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncpg
import orjson
import pyarrow.compute
import pyarrow.parquet

from benchmarks.processes import get
from connectors.clickhouse.client import ClickHouse
from connectors.s3.client import PAGE, S3, Bucket
from connectors.snowflake.client import Account, Snowflake
from domain.sinks.columns import TABLES
from topics.table import RESULTS

ASKED = {
    # without FINAL: a row that came twice counts twice
    "clickhouse": "SELECT count() AS rows, uniqExact(id) AS ids, sum(length(output)) AS bytes FROM results",
    "postgres": "SELECT count(*) AS rows, count(DISTINCT id) AS ids, sum(length(output::text)) AS bytes "
    "FROM structured_prompt.results",
    "snowflake": "SELECT count(*), count(DISTINCT id), sum(length(output::varchar)) FROM results",
}
SINK = "STRUCTURED_PROMPT_SINK_"
COUNTS = "COUNTS_URL"
"""Where a fake that forgets its rows says how many there were."""


@dataclass(slots=True)
class Objects:
    """Of results in a bucket, as Parquet. rows: by object as it says itself, named: as the manifests say."""

    ids: set[str] = field(default_factory=set)
    rows: dict[str, int] = field(default_factory=dict)
    size: int = 0
    manifests: int = 0
    named: dict[str, int] = field(default_factory=dict)

    def add(self, key: str, body: bytes) -> None:
        if key.endswith(".json"):
            self.manifests += 1
            self.named |= {one["key"]: one["rows"] for one in orjson.loads(body)["objects"]}
            return
        table = pyarrow.parquet.read_table(io.BytesIO(body), columns=["id", "output"])
        self.rows[key] = table.num_rows
        self.ids.update(table["id"].to_pylist())
        self.size += pyarrow.compute.sum(pyarrow.compute.binary_length(table["output"])).as_py() or 0

    def told(self) -> str:
        agree = "all of them with their rows" if self.named == self.rows else "NOT the same objects and rows"
        return (
            f"{_told('s3', sum(self.rows.values()), len(self.ids), self.size)}, in {len(self.rows):,} objects; "
            f"{self.manifests:,} manifests name {agree}"
        )


async def held(name: str, environment: Mapping[str, str]) -> str:
    """Of one of the sinks; nothing of a destination that cannot be asked."""
    if COUNTS in environment:
        counts = orjson.loads(get(environment[COUNTS]))
        return f"`{name}`'s fake took " + ", ".join(f"{rows:,} rows of {table}" for table, rows in counts.items())
    if name == "s3":
        return (await of_bucket(bucket_of(environment))).told()
    if name == "clickhouse":
        async with ClickHouse(environment["CLICKHOUSE_URL"]) as clickhouse:
            (found,) = await clickhouse.select(ASKED[name], {})
    elif name == "postgres":
        connection = await asyncpg.connect(environment["DATABASE_URL"])
        found = dict(await connection.fetchrow(ASKED[name]))
        await connection.close()
    elif name == "snowflake":
        found = await of_snowflake(environment)
    else:
        return ""
    return _told(name, found["rows"], found["ids"], int(found["bytes"] or 0))


async def of_snowflake(environment: Mapping[str, str]) -> dict[str, int | None]:
    """As fakesnow answers."""
    account, user, database, endpoint = (
        environment[f"{SINK}SNOWFLAKE_{one}"] for one in ("ACCOUNT", "USER", "DATABASE", "ENDPOINT")
    )
    session = Snowflake(Account(account, user, database, "STRUCTURED_PROMPT", endpoint=endpoint))
    await session.open()
    try:
        ((rows, ids, size),) = await session.run(ASKED["snowflake"])
    finally:
        await session.close()
    return {"rows": rows, "ids": ids, "bytes": size}


async def of_bucket(bucket: Bucket) -> Objects:
    """Every object of results and every manifest of theirs is read."""
    store, found = S3(bucket), Objects()
    await store.open()
    try:
        for prefix in (f"{TABLES[RESULTS]}/", f"_manifests/{RESULTS}/"):
            keys = await store.keys(prefix)
            while keys:
                for key in keys:
                    found.add(key, await store.get(key))
                keys = await store.keys(prefix, keys[-1]) if len(keys) == PAGE else []
    finally:
        await store.close()
    return found


def bucket_of(environment: Mapping[str, str]) -> Bucket:
    names = ("S3_BUCKET", "S3_ENDPOINT", "S3_REGION", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
    name, *rest = (environment.get(SINK + one) for one in names)
    return Bucket(name or "", *rest)


def _told(name: str, rows: int, ids: int, size: int) -> str:
    return f"`{name}` holds {rows:,} results of {ids:,} ids, {size:,} bytes of answers"
