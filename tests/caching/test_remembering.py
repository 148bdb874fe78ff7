"""What becomes of an answer that the cache does not take."""

from datetime import timedelta

from agents.infer.remembering import Answer, Remembering
from connectors.memory.metrics import MemoryMetrics
from tests.contract.test_cache import DeadCache


async def test_L13_an_answer_that_is_not_kept_is_counted_and_nothing_else_follows() -> None:
    metrics = MemoryMetrics()
    remembering = Remembering(DeadCache(), timedelta(hours=1), metrics)
    await remembering.write([Answer("a", b"1", 60), Answer("b", b"2", 60)])
    assert metrics.value("cache_errors") == 1
