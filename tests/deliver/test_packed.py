"""What a sink keeps of a batch takes the room of its bytes."""

import tracemalloc

import orjson

from topics.packed import packed

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
