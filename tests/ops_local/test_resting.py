"""The embedded ClickHouse gives back what its start touched, and answers as before."""

import subprocess
import sys

import pytest

ASKS = """
import chdb, psutil
from ops.local.clickhouse.resting import give_back
def asked():
    return str(chdb.query("SELECT sum(number), groupArray(3)(toString(number)) FROM numbers(1000)", "JSONEachRow"))
mine = psutil.Process()
first = asked()
before = mine.memory_info().rss
give_back()
after = mine.memory_info().rss
assert asked() == first
print((before - after) // 1_000_000)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mapped")
def test_the_pages_of_the_library_are_given_back_and_found_again() -> None:
    done = subprocess.run([sys.executable, "-c", ASKS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
