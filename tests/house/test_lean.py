"""What a process does not use is not loaded: measured in a process of its own, since this one has loaded everything."""

import subprocess
import sys

from connectors import lean

LOADS = """
import sys
from connectors import lean
lean.load()
import agents.main, api.main
print(*(name for name in {names!r} if name in sys.modules))
import rich, opentelemetry.sdk.metrics, connectors.telemetry.opentelemetry
"""


def test_what_no_process_uses_is_not_loaded_and_can_be_loaded_later() -> None:
    names = [name for unused in lean.UNUSED.values() for name in unused]
    done = subprocess.run(
        [sys.executable, "-c", LOADS.format(names=names)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
