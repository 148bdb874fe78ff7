"""One record in a hundred is poison: where does it end, and what does it cost the others?

`python -m tests.e2e.poison --data DIR --count 10000` on a stack that runs in DIR (`structured-prompt up --detach`)
publishes as many good requests without poison and with it, and prints the 99th percentile of both and their ratio.
"""

import argparse
import gzip
import json
import sys
import time
import uuid
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from tests.e2e.conftest import Product
from tests.line.test_bad_input import LETTERS

A_SECOND = 250
ONE_IN = 100


def _asked(**more: Any) -> bytes:
    return json.dumps({"id": "r1", "tenant": "demo", "prompt": "x", **more}).encode()


KINDS: dict[str, tuple[bytes, str]] = {
    **{name: (value.replace(b'"acme"', b'"demo"'), code) for name, (value, code) in LETTERS.items()},
    "a number": (b"17", "unreadable"),
    "a text": (b'"hello"', "unreadable"),
    "JSON's null": (b"null", "unreadable"),
    "compressed": (gzip.compress(_asked()), "unreadable"),
    "UTF-16": (_asked().decode().encode("utf-16"), "unreadable"),
    "a page": (b"<!doctype html><title>502</title>", "unreadable"),
    "a record of a schema registry": (b"\x00\x00\x00\x00\x07\x0ahello", "unreadable"),
    "an id that is a number": (_asked(id=17), "invalid_request"),
    "an id with a space": (_asked(id="a b"), "invalid_request"),
}
"""Twenty records that cannot be attributed to a request, each with the code of its dead letter."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run: milliseconds of the good ones, how they ended, and (kind, code) of each dead letter."""

    p99: float
    ends: Counter[str]
    letters: Counter[tuple[str, str]]


def run(product: Product, count: int, *, poisoned: bool) -> Outcome:
    """Publish `count` good requests at an even pace, and poison between them; wait for the end of all."""
    mark = uuid.uuid4().hex[:8]
    ids = [f"{mark}-{number}" for number in range(count)]
    sent = _publish(product, ids, mark, poisoned=poisoned)
    results = product.results(ids, 120)
    rows = [productions[0] for productions in results.values()]
    times = sorted(row["timings"]["total_ms"] for row in rows)
    letters = _letters(product, mark, sent)
    return Outcome(times[int(len(times) * 0.99)], Counter(row["status"] for row in rows), letters)


def expected(count: int) -> Counter[tuple[str, str]]:
    """The dead letters of a poisoned run."""
    kinds = list(KINDS.items())
    chosen = (kinds[number % len(kinds)] for number in range(count // ONE_IN))
    return Counter((name, code) for name, (_, code) in chosen)


def _publish(product: Product, ids: list[str], mark: str, *, poisoned: bool) -> int:
    producer = Producer({"bootstrap.servers": product.env["KAFKA_BOOTSTRAP_SERVERS"], "acks": "all", "linger.ms": 1})
    began, kinds, sent = time.monotonic(), list(KINDS.items()), 0
    for number, id in enumerate(ids):
        good = {"id": id, "tenant": "demo", "prompt": f"Parcel {id} is late."}
        producer.produce("prompt.requests", json.dumps(good))
        if poisoned and number % ONE_IN == ONE_IN // 2:
            name, (value, _) = kinds[sent % len(kinds)]
            producer.produce("prompt.requests", value, headers={"x-poison": f"{mark} {name}"})
            sent += 1
        producer.poll(0)
        time.sleep(max(0.0, began + number / A_SECOND - time.monotonic()))
    assert producer.flush(60) == 0
    return sent


def _letters(product: Product, mark: str, sent: int) -> Counter[tuple[str, str]]:
    def mine(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
        named = ((_named(row), row["code"]) for row in rows)
        return [(name.removeprefix(f"{mark} "), code) for name, code in named if name.startswith(f"{mark} ")]

    if not sent:
        return Counter()
    return Counter(mine(product.read("prompt.dead-letters", lambda rows: len(mine(rows)) >= sent, 60)))


def _named(row: dict[str, Any]) -> str:
    return next((b64decode(value).decode() for name, value in row["headers"] if name == "x-poison"), "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10_000)
    arguments = parser.parse_args()
    product = Product(arguments.data)
    run(product, 500, poisoned=False)  # everything is warm
    clean, poisoned = (run(product, arguments.count, poisoned=bad) for bad in (False, True))
    right = poisoned.letters == expected(arguments.count)
    told = "all in the dead letters with their reason" if right else f"dead letters: {poisoned.letters}"
    print(f"{arguments.count} good at {A_SECOND}/s, {poisoned.letters.total()} poison of {len(KINDS)} kinds: {told}")
    print(f"good ones: {dict(clean.ends)} and {dict(poisoned.ends)}")
    print(f"p99 {clean.p99:.0f} ms without, {poisoned.p99:.0f} ms with: {poisoned.p99 / clean.p99:.2f} times")
    return 0 if right and clean.ends == poisoned.ends == {"completed": arguments.count} else 1


if __name__ == "__main__":
    sys.exit(main())
