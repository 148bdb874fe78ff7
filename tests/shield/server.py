"""The API as it is served, on the in-memory twins: `python -m tests.shield.server PORT [SETTING=VALUE…]`.

The first line it prints is a key of tenant acme. `DESCRIPTORS` is how many files and sockets it may have open.
"""

import asyncio
import resource
import sys

import uvloop

from api.main import SPARE_DESCRIPTORS, serve, stop_signal
from domain.settings import Settings
from tests.api.door import Door

PLACES = 20
DESCRIPTORS = SPARE_DESCRIPTORS + PLACES


async def main(port: int, given: dict[str, str]) -> None:
    door = Door()
    settings = Settings.model_validate({**door.settings.model_dump(), "api_port": port, "metrics_port": 0, **given})
    print(door.issued.secret, flush=True)
    line = asyncio.create_task(door.line.run())
    await serve(door.ports, settings, stop_signal())
    line.cancel()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    uvloop.run(main(int(sys.argv[1]), dict(one.split("=", 1) for one in sys.argv[2:])))
