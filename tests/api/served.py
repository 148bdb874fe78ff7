"""A door that programs of other languages can call."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from api import main
from tests.api.door import Door

PATIENCE_S = 60


@asynccontextmanager
async def served() -> AsyncIterator[Door]:
    """A door in memory that listens on a port; its client goes there too."""
    door, stop = Door(), asyncio.Event()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = door.settings.model_copy(update={"api_host": "127.0.0.1", "api_port": port, "metrics_port": 0})
    tasks = [asyncio.create_task(main.serve(door.ports, settings, stop)), asyncio.create_task(door.line.run())]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=door.bearer()) as door.client:
            async with asyncio.timeout(PATIENCE_S):
                while not await _answers(door.client):
                    await asyncio.sleep(0.05)
            yield door
    finally:
        stop.set()
        await tasks[0]
        tasks[1].cancel()


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).is_success
    except httpx.TransportError:
        return False
