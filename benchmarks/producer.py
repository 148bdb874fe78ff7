"""What producing costs: `KAFKA_BOOTSTRAP_SERVERS=… python -m benchmarks.producer [ROUNDS]`.

Records of 560 bytes with seven headers, onto a topic of 12 partitions. The CPU is that of the whole process.
"""

import os
import sys
import time
from collections.abc import Sequence

import uvloop
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.kafka.producer import KafkaProducer
from domain.ports import Record
from topics import headers

TOPIC = "benchmark.producer"
VALUE = b"x" * 560
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def rows(size: int, count: int) -> list[list[Record]]:
    built = headers.RESULT.headers("acme/order-981/1", "2026-01-01T00:00:00.000Z", PARENT)
    return [[Record(TOPIC, VALUE, b"key-%d" % (i * size + j), built) for j in range(size)] for i in range(count)]


async def measure(producer: KafkaProducer, batches: Sequence[Sequence[Record]]) -> None:
    cpu, waits = time.process_time(), []
    for batch in batches:
        started = time.perf_counter()
        await producer.send(batch)
        waits.append((time.perf_counter() - started) * 1e3)
    cpu = (time.process_time() - cpu) / len(batches) / len(batches[0]) * 1e6
    waits.sort()
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    print(f"batch {len(batches[0]):5}  {cpu:7.2f} us CPU a record  p50 {p50:6.2f} ms  p99 {p99:6.2f} ms")


async def main(kafka: str, rounds: int) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    if TOPIC not in admin.list_topics(timeout=10).topics:
        for created in admin.create_topics([NewTopic(TOPIC, 12, 1)]).values():
            created.result()
    producer = KafkaProducer({"bootstrap.servers": kafka})
    await producer.open()
    await producer.send(rows(300, 1)[0])
    for _ in range(rounds):
        for size, count in ((1, 300), (300, 200), (1500, 40)):
            await measure(producer, rows(size, count))
    await producer.close()


if __name__ == "__main__":
    uvloop.run(main(os.environ["KAFKA_BOOTSTRAP_SERVERS"], int(sys.argv[1]) if len(sys.argv) > 1 else 1))
