"""What the codec costs, in microseconds of CPU: `python -m benchmarks.codec`. Best of five rounds."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from topics import headers
from topics.codec import body_hash, encode, read_request

REQUEST = orjson.dumps(
    {
        "id": "order-981",
        "tenant": "acme",
        "template": {"name": "sentiment", "version": 2, "variables": {"text": "lorem ipsum " * 8}},
        "model": "fast",
        "parameters": {"temperature": 0, "max_tokens": 256},
        "lane": "standard",
        "tags": {"team": "support"},
        "metadata": {"ticket": "4711"},
        "subject": "user-77",
        "submitted_at": "2026-01-01T00:00:00.000Z",
    }
)


def result() -> dict[str, Any]:
    """The fields of a PromptResult as infer builds them."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    usage = {"input_tokens": 31, "output_tokens": 8, "cost_usd": Decimal("0.0000094"), "attempts": 1}
    return {
        "id": "order-981",
        "tenant": "acme",
        "run": 1,
        "status": "completed",
        "output": {"label": "negative"},
        "error": None,
        "model": "small",
        "provider": "simulated",
        "cached": None,
        "usage": usage,
        "timings": {"queued_ms": 4, "provider_ms": 412, "total_ms": 421},
        "template": None,
        "output_schema": None,
        "request_hash": "sha256:" + "0" * 64,
        "tags": {"team": "support"},
        "metadata": {"ticket": "4711"},
        "submitted_at": at,
        "completed_at": at,
    }


def cost(work: Callable[[], Any], rounds: int = 20_000) -> float:
    """Microseconds of CPU a call."""
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for _ in range(rounds):
            work()
        best = min(best, (time.process_time() - started) / rounds * 1e6)
    return best


def main() -> None:
    fields, row = orjson.loads(REQUEST), result()
    stored = encode(row)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    print(f"read_request of {len(REQUEST)} bytes  {cost(lambda: read_request(REQUEST)):6.2f} us")
    print(f"body_hash                   {cost(lambda: body_hash(fields)):6.2f} us")
    print(f"encode a result of {len(stored)} bytes {cost(lambda: encode(row)):6.2f} us")
    built = cost(lambda: headers.RESULT.headers("acme/order-981/1", "2026-01-01T00:00:00.000Z", parent))
    print(f"headers of a result         {built:6.2f} us")
    print(f"headers of a stored result  {cost(lambda: headers.result_headers(stored, parent)):6.2f} us")


if __name__ == "__main__":
    main()
