"""The sinks that write elsewhere than into ClickHouse, as principals of a broker with rights: what each is told, and
what of a result came where it writes. They are one of each way to read: in batches, in exact batches, onto a cluster.
"""

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from connectors.postgres.pool import connect
from tests import s3
from tests.kafka.rights import as_user, read
from tests.kafka.secured import SecuredKafka

OTHER = "other."
"""Of the topics that the mirror writes: another cluster, but for its address."""
MIRROR = "mirror"
BUCKET = "rights"
SINKS = ("postgres", "kafka", "s3")


@dataclass(frozen=True)
class OtherSinks:
    """`partitions` is the number that the mirror's topics have."""

    broker: SecuredKafka
    database_url: str
    store: s3.Store
    partitions: int

    def settings(self, name: str) -> dict[str, str]:
        own = "STRUCTURED_PROMPT_SINK_"
        there = as_user(self.broker, MIRROR)
        return {
            "postgres": {f"{own}POSTGRES_URL": self.database_url},
            "kafka": {f"{own}{key}": value for key, value in there.items()} | {f"{own}KAFKA_TOPIC_PREFIX": OTHER},
            "s3": {
                f"{own}INTERVAL_S": "1", f"{own}S3_BUCKET": BUCKET, f"{own}S3_ENDPOINT": self.store.url,
                f"{own}S3_ACCESS_KEY_ID": s3.ACCESS, f"{own}S3_SECRET_ACCESS_KEY": s3.SECRET,
                f"{own}S3_FORMAT": "jsonl",
            },
        }.get(name, {})  # fmt: skip

    def seen(self, id: str) -> dict[str, Callable[[], bool]]:
        """Of each sink, whether the result of `id` is where it writes."""
        return {
            "postgres": lambda: asyncio.run(self._is_a_row(id)),
            "kafka": lambda: self._is_mirrored(id),
            "s3": lambda: id in self._in_bucket(),
        }

    async def _is_a_row(self, id: str) -> bool:
        pool = await connect(self.database_url, 1)
        try:
            return bool(await pool.fetch("SELECT id FROM structured_prompt.results WHERE id = $1", id))
        finally:
            await pool.close()

    def _is_mirrored(self, id: str) -> bool:
        operator = {"KAFKA_BOOTSTRAP_SERVERS": self.broker.url}
        return read(operator, f"{OTHER}prompt.results", self.partitions, id)["status"] == "completed"

    def _in_bucket(self) -> set[str]:
        client = self.store.client()
        listed = client.list_objects_v2(Bucket=BUCKET, Prefix="results/").get("Contents", ())
        bodies = [client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in listed]
        return {json.loads(line)["id"] for body in bodies for line in gzip.decompress(body).splitlines()}


@contextmanager
def other_sinks(broker: SecuredKafka, database_url: str, partitions: int) -> Iterator[OtherSinks]:
    with s3.moto() as store:
        store.client().create_bucket(Bucket=BUCKET)
        yield OtherSinks(broker, database_url, store, partitions)
