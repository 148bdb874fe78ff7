"""Which JSON library: `python -m benchmarks.json_libraries`. Microseconds of CPU a document, best of five rounds.

The documents are those the line reads and writes once an event: a request of 560 bytes, a result of about 700, and a
provider's answer. orjson was chosen: as fast as msgspec without a schema, and the adapters and the codec need no types.
msgspec is measured where it is installed (`uv pip install msgspec`).
"""

import importlib
import json
from collections.abc import Callable
from typing import Any

import orjson

from benchmarks.codec import cost, result
from benchmarks.stub import CONTENT, answer
from benchmarks.traffic import requests
from topics.codec import encode

Reads = Callable[[bytes], Any]
Writes = Callable[[Any], bytes]


def libraries() -> dict[str, tuple[Reads, Writes]]:
    """Name to its reading and its writing."""
    found: dict[str, tuple[Reads, Writes]] = {
        "orjson": (orjson.loads, orjson.dumps),
        "json": (json.loads, lambda value: json.dumps(value, separators=(",", ":")).encode()),
    }
    try:
        msgspec = importlib.import_module("msgspec.json")
    except ModuleNotFoundError:
        return found
    return {**found, "msgspec": (msgspec.Decoder().decode, msgspec.Encoder().encode)}


def documents() -> dict[str, bytes]:
    return {
        "request": requests(1, "json")[0].value,
        "result": encode(result()),
        "answer": answer(CONTENT).partition(b"\r\n\r\n")[2],
    }


def main() -> None:
    names = documents()
    heads = [f"{verb} {name}" for name in names for verb in ("read", "write")]
    print(f"| | {' | '.join(heads)} |\n|{' --- |' * (len(heads) + 1)}")
    for library, (read, write) in libraries().items():
        cells = []
        for raw in names.values():
            value = read(raw)
            cells += [_cost(read, raw), _cost(write, value)]
        print(f"| {library} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")


def _cost(work: Callable[[Any], Any], value: Any) -> float:
    return cost(lambda: work(value))


if __name__ == "__main__":
    main()
