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


SERVES = """
import asyncio, sys
from api.main import serve
from tests.api.door import Door
async def main():
    door, stop = Door(), asyncio.Event()
    stop.set()
    await serve(door.ports, door.settings.model_copy(update={"api_port": 0, "metrics_port": 0}), stop)
asyncio.run(main())
if "pydantic.v1" in sys.modules:
    sys.exit("it is loaded")
import pydantic.v1
"""


def test_the_api_serves_without_the_models_of_pydantic_1() -> None:
    done = subprocess.run([sys.executable, "-c", SERVES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_no_process_uses_is_not_loaded_and_can_be_loaded_later() -> None:
    names = [name for unused in lean.UNUSED.values() for name in unused]
    done = subprocess.run(
        [sys.executable, "-c", LOADS.format(names=names)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
