"""Limits hold over eight processes at once, on one real Redis."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from connectors.redis.client import RedisClient
from connectors.redis.limiter import BOOT_KEY
from domain.admission.model import Limit
from tests.contract.flooding import EACH, PLACES, REQUESTS, ROUNDS
from tests.contract.test_limiter import assert_conforms

PROCESSES = 8
pytestmark = pytest.mark.integration


@pytest.fixture
def said(redis_url: str) -> Iterator[list[dict[str, Any]]]:
    """What the eight said."""
    asyncio.run(_long_up(redis_url))
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.contract.flooding", str(number), redis_url],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
            )
            for number in range(PROCESSES)
        ]  # fmt: skip
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        yield [json.loads(process.communicate(timeout=60)[0]) for process in running]


async def _long_up(url: str) -> None:
    client = RedisClient(url, timeout_s=10)
    await client.redis.set(BOOT_KEY, 1)
    await client.close()


def test_no_window_is_overrun_and_no_place_given_twice_by_eight_processes(said: list[dict[str, Any]]) -> None:
    passed = sorted(at for one in said for at in one["passed"])
    assert len(passed) == PROCESSES * EACH * ROUNDS
    # at 30 reserved tokens a request the requests' own limit is the narrower one
    assert_conforms(passed, Limit("acme", REQUESTS.per_minute, REQUESTS.burst), max(one["slowest"] for one in said))
    assert sum(one["entered"] for one in said) == PLACES.places
