"""A disk that is full under everything: Kafka, PostgreSQL, Redis, ClickHouse, the logs and the supervisor's notes.

The data directory is a small file system of its own, which only who may mount one can make.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.outages.product import Load, Proxied, outcome_of, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
SIZE = "1g"
FULL_FOR = 10.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", str(disk)]
    if not Path("/proc/mounts").exists() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path, seconds: float) -> None:
    """Take every byte that is or becomes free for so long; then give it all back."""
    ballast = disk / "ballast"
    file = os.open(ballast, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for size in (1 << 20, 1 << 12, 1 << 9):
            with suppress(OSError):
                while os.write(file, bytes(size)) == size:
                    pass
        time.sleep(0.2)
    os.close(file)
    ballast.unlink()


def test_S6_nothing_is_lost_on_a_full_disk_and_the_line_drains_within_a_minute_of_room(small_disk: Path) -> None:
    with started(small_disk, "--workers", "1,1,1", "--apis", "1") as product:
        product.control("POST", latency_ms={"mean": 300, "jitter": 200})
        with Load(product) as load:
            time.sleep(3)
            fill(small_disk, FULL_FOR)
            freed = time.monotonic()
            time.sleep(5)
        outcome = outcome_of(product, load.sent, 60 - (time.monotonic() - freed))
        _nothing_lost(product, load, outcome.lost, outcome.differing)
        assert outcome.statuses == {"completed": len(load.sent.owed)}


def _nothing_lost(product: Proxied, load: Load, lost: list[str], differing: list[str]) -> None:
    assert load.sent.owed
    assert (lost, differing) == ([], [])
    assert product.in_clickhouse(load.sent.owed, 60) == len(load.sent.owed)
