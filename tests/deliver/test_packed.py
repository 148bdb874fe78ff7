"""What a sink keeps of a batch takes the room of its bytes."""

import tracemalloc

import orjson

from connectors.s3.formats import Parquet
from domain.sinks.columns import row
from tests.contract.messages import result
from topics.packed import packed
from topics.table import RESULTS

ROWS = 200
VALUE = {"id": "order-1", "output": None, "text": "x" * 500}


def test_packed_json_takes_no_more_room_than_it_says() -> None:
    tracemalloc.start()
    try:
        kept = [packed(VALUE) for _ in range(ROWS)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept[0] == orjson.dumps(VALUE)
    assert held < ROWS * (len(kept[0]) + 200)


def test_of_large_rows_few_wait_as_python_has_them() -> None:
    large = result(output={"label": "x" * 100_000})
    first, rows = Parquet().begin(RESULTS), Parquet().begin(RESULTS)
    first.add(large, row(RESULTS, large.value))
    first.finish()  # what it loads once stays
    tracemalloc.start()
    try:
        for _ in range(100):
            rows.add(large, row(RESULTS, large.value))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20 * len(large.value)
