"""The API's process: builds its ports, serves until a signal comes, lets everybody go with an answer."""

import asyncio
import resource
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
import uvloop
from fastapi import FastAPI
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from api.application import VERSION, Parts, create_app
from api.health.service import Readiness
from api.ports import ApiPorts, Dependency
from api.shield.connections import Bounds, Closer
from connectors import catalog
from connectors.alone import without
from connectors.audited.postgres import Repositories
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.exporter import ClickHouseExporter
from connectors.clickhouse.reader import ClickHouseUsage
from connectors.exports import bucket_of
from connectors.feeds import decoder
from connectors.runtime import calm_collector, take_turns_quickly
from connectors.source_file import FollowedFile
from connectors.telemetry import logs, tracing
from connectors.telemetry.loop import watch_loop
from connectors.telemetry.metrics import PrometheusMetrics
from connectors.telemetry.sentry import report_faults
from connectors.telemetry.server import TelemetryServer
from connectors.telemetry.watchdog import Watchdog
from domain.errors import Conflict, InvalidSettings
from domain.health import Check
from domain.settings import Settings

BACKLOG = 2048
MAX_CONCURRENT = 10_000  # connections at once, those that wait for their result included
SPARE_DESCRIPTORS = 256  # for the engines, files and the server itself
MAX_HEAD_BYTES = 64 * 1024
MAX_STREAMS = 200  # of one HTTP/2 connection
PING_EVERY_MS = 20_000  # HTTP/2 connections whose client is gone are found out
PING_S = 10
STOP_S = 10.0
PRODUCE_TIMEOUT_S = 1.5  # a client gets its 503 within two seconds
LOOK_EVERY_S = 2.0

log = structlog.get_logger("api")


def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Serve on settings.api_host and api_port until SIGTERM or SIGINT.

    HTTP/1.1 and HTTP/2, with TLS where a certificate is set. `environ` holds the providers' keys: the catalogue
    lists what can be called. Raises Conflict when the port is taken, InvalidSettings.
    """
    logs.set_up(level=settings.log_level, format=settings.log_format, stage="api")
    report_faults(settings.dsn, "structured-prompt-api", VERSION)
    uvloop.run(_run(settings, environ))


async def _run(settings: Settings, environ: Mapping[str, str]) -> None:
    claim_port(settings.api_host, settings.api_port)
    async with connected(settings, environ) as ports:
        calm_collector()
        take_turns_quickly()
        await serve(ports, settings, stop_signal())


@asynccontextmanager
async def connected(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[ApiPorts]:
    """The ports on the real engines, connected while the block runs; an engine that is down makes it not ready."""
    metrics = PrometheusMetrics()
    models = catalog.catalogue(settings, environ)
    outside = await catalog.connect_all(settings, metrics, "api", PRODUCE_TIMEOUT_S)
    clickhouse = ClickHouse(settings.clickhouse_url.get_secret_value())
    await outside.stack.enter_async_context(clickhouse)
    files = bucket_of(settings)
    if files is not None:
        outside.stack.push_async_callback(files.close)
    tracer = tracing.tracing(settings.otel_endpoint, "structured-prompt-api", VERSION)
    outside.stack.push_async_callback(asyncio.to_thread, tracer.close)
    changing = Repositories(outside.pool)
    async with outside.stack:
        yield ApiPorts(
            jobs=outside.jobs,
            ledger=outside.ledger,
            accounts=changing.accounts,
            producer=outside.producer,
            limiter=outside.limiter,
            replies=outside.replies,
            chunks=outside.chunks,
            usage=ClickHouseUsage(clickhouse),
            exporter=ClickHouseExporter(clickhouse),
            export_jobs=changing.export_jobs,
            export_schedules=changing.export_schedules,
            export_files=files,
            letters=changing.letters,
            originals=outside.originals,
            queues=outside.queues,
            health=outside.health,
            budgets=changing.budgets,
            schemas=changing.schemas,
            sinks=changing.sinks,
            sources=FollowedFile(settings.sources, environ),
            source_store=changing.sources,
            endpoints=changing.endpoints,
            deliveries=changing.deliveries,
            similar=outside.similar,
            trail=changing.trail,
            preparer=catalog.preparer(settings, models, outside.schemas.find),
            catalogue=models,
            metrics=metrics,
            exposition=metrics.render,
            decoder=decoder,
            tracing=tracer,
            dependencies=_dependencies(outside, clickhouse),
        )


def _dependencies(outside: catalog.Outside, clickhouse: ClickHouse) -> Mapping[str, Dependency]:
    return {
        "kafka": Dependency(_answers(outside.kafka.open)),
        "postgres": Dependency(_answers(lambda: outside.pool.fetch("SELECT 1"))),
        "redis": Dependency(_answers(outside.redis.ping), essential=False),
        "clickhouse": Dependency(_answers(lambda: clickhouse.select("SELECT 1", {})), essential=False),
    }


async def serve(ports: ApiPorts, settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then answer whoever still waits and return.

    Raises Conflict for a taken port, InvalidSettings for a certificate or key that cannot be used.
    """
    # FastAPI would load the models of Pydantic 1, 2 MB of them, to ask of every route whether it returns one
    with without("pydantic.v1"):
        app = create_app(ports, settings)
    parts: Parts = app.state.parts
    server = _server(app, settings)
    async with app.router.lifespan_context(app), _telemetry(ports, settings, parts.readiness):
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(stop.wait())
        closing = asyncio.create_task(_closer(settings).run())
        log.info("started", address=f"{settings.api_host}:{settings.api_port}")
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        closing.cancel()
        parts.drain()
        server.stop()  # type: ignore[no-untyped-call]  # granian has no types there
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await serving
    if not stop.is_set():
        raise Conflict("the HTTP server ended by itself; the log lines above say why")
    log.info("stopped")


def _server(app: FastAPI, settings: Settings) -> Server:
    certificate, key = settings.tls_certificate, settings.tls_key
    try:
        return Server(
            app, settings.api_host, settings.api_port, interface=Interfaces.ASGINL, http=HTTPModes.auto,
            websockets=False, backlog=BACKLOG, backpressure=places(_descriptors()), log_enabled=False,
            http1_settings=HTTP1Settings(round(settings.header_timeout_s * 1000), max_buffer_size=MAX_HEAD_BYTES),
            http2_settings=HTTP2Settings(
                keep_alive_interval=PING_EVERY_MS, keep_alive_timeout=PING_S, max_concurrent_streams=MAX_STREAMS,
                max_headers_size=MAX_HEAD_BYTES,
            ),
            ssl_cert=Path(certificate) if certificate else None, ssl_key=Path(key) if key else None,
        )  # fmt: skip
    except OSError as error:  # of which ssl.SSLError is one
        raise InvalidSettings(
            f"cannot use STRUCTURED_PROMPT_TLS_CERTIFICATE {certificate} with its key: {error}; "
            "both are PEM, the certificate first in its chain, and readable by this process"
        ) from error


def _closer(settings: Settings) -> Closer:
    bounds = Bounds(settings.header_timeout_s, settings.address_connections, settings.proxy_networks)
    return Closer(settings.api_port, bounds)


@asynccontextmanager
async def _telemetry(ports: ApiPorts, settings: Settings, readiness: Readiness) -> AsyncIterator[None]:
    """/healthz, /readyz and /metrics on the port that every process of ours has."""
    server = TelemetryServer(settings.metrics_host, settings.metrics_port, lambda: readiness.known, ports.exposition)
    await server.start()
    watchdog = Watchdog()
    watchdog.start()
    tasks = [asyncio.create_task(watch_loop(ports.metrics)), asyncio.create_task(_keep_looking(readiness))]
    try:
        yield
    finally:
        watchdog.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.close()


async def _keep_looking(readiness: Readiness) -> None:
    while True:
        await readiness.health()
        await asyncio.sleep(LOOK_EVERY_S)


def _answers(ask: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[Check]]:
    async def check() -> Check:
        await ask()
        return Check(ok=True)

    return check


def stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _descriptors() -> int:
    """How many this process may have, once it asked for all that it is allowed; -1 for any number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def places(descriptors: int) -> int:
    """Connections at once, where a process may have so many descriptors (-1: any number).

    One more than it may have would be accepted, and fail.
    """
    return MAX_CONCURRENT if descriptors < 0 else max(16, min(MAX_CONCURRENT, descriptors - SPARE_DESCRIPTORS))


def claim_port(host: str, port: int) -> None:
    """Raises Conflict when somebody listens there: granian shares ports (SO_REUSEPORT) and would not say so."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Conflict(
                f"cannot listen on {host}:{port}: {error.strerror or error}; "
                "stop what listens there or set STRUCTURED_PROMPT_API_PORT to a free port"
            ) from error
