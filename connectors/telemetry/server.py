"""The small server of a process: /healthz, /readyz and /metrics."""

from collections.abc import Callable

import orjson
from aiohttp import web

from connectors.telemetry.metrics import CONTENT_TYPE
from domain.errors import Conflict
from domain.health import Health, summary


class TelemetryServer:
    """Answers from `health` and `render` as they are at that moment; neither may block.

    /healthz is 503 when a restart would help, /readyz when the process should get no work now.
    """

    def __init__(self, host: str, port: int, health: Callable[[], Health], render: Callable[[], bytes]) -> None:
        self._host = host
        self._port = port
        self._health = health
        self._render = render
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """The port it listens on, chosen by the system where 0 was given. Raises Conflict when the port is taken."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            raise Conflict(
                f"cannot serve /metrics on {self._host}:{self._port}: {error.strerror or error}; "
                "choose another STRUCTURED_PROMPT_METRICS_PORT, or 0 for a free one"
            ) from error
        self._runner = runner
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _healthz(self, _request: web.Request) -> web.Response:
        health = self._health()
        return _answer(health, good=health.ok)

    async def _readyz(self, _request: web.Request) -> web.Response:
        health = self._health()
        return _answer(health, good=health.ok and health.ready)

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._render(), headers={"Content-Type": CONTENT_TYPE})


def _answer(health: Health, *, good: bool) -> web.Response:
    body = orjson.dumps(summary(health))
    return web.Response(body=body, status=200 if good else 503, content_type="application/json")
