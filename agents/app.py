"""Faust, set up for the stage: its settings and its worker. Every default that loses events is set here, and what
reads the broker is replaced (agents/consumer.py)."""

import asyncio
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faust
from faust.auth import OAuthCredentials

from agents.consumer import Transport
from agents.progress import Progress


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how to speak to it. `member` is the static name of this worker in its group.

    tokens: aiokafka's token provider, with OAUTHBEARER.
    """

    url: str
    member: str | None = None
    protocol: str = "PLAINTEXT"
    tls: ssl.SSLContext | None = None
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tokens: Any = field(default=None, repr=False)

    @property
    def credentials(self) -> Any:
        """Faust's form of them."""
        if self.tokens is not None:
            return OAuthCredentials(oauth_cb=self.tokens, ssl_context=self.tls)
        if self.protocol.startswith("SASL"):
            return faust.SASLCredentials(
                username=self.username, password=self.password, mechanism=self.mechanism, ssl_context=self.tls
            )
        return faust.SSLCredentials(self.tls) if self.tls else None


class StageApp(faust.App):
    """A Faust app that serves one stage; `boot` and `shutdown` run inside its loop."""

    stage: Any
    progress: Progress
    boot: Callable[[], Awaitable[None]]
    shutdown: Callable[[], Awaitable[None]]

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    async def on_start(self) -> None:
        await self.boot()
        await super().on_start()

    async def on_stop(self) -> None:
        await super().on_stop()
        await self.shutdown()


class DrainingWorker(faust.Worker):
    """On SIGTERM the stage drains before Faust may stop, for Faust cancels what is in flight (rule S4)."""

    def __init__(self, *apps: StageApp, **options: Any) -> None:
        super().__init__(*apps, **options)
        self._apps = apps
        self.spinner = None  # it writes a terminal's escape sequences also where there is none

    async def _stop_on_signal(self, signal: Any) -> None:
        await asyncio.gather(*(app.stage.drain() for app in self._apps))
        for app in self._apps:
            await app.consumer.commit()
        await super()._stop_on_signal(signal)

    def _setup_logging(self) -> None:
        """Logging is set up by main; Faust's own set-up replaces it and may put the root logger at DEBUG."""


def build(group: str, broker: Broker, stage: Any, boot: Any, shutdown: Any) -> StageApp:
    """A Faust app for one stage and its consumer group, with an agent for each of the stage's sources."""
    app = StageApp(group, **_settings(broker))
    app.stage, app.boot, app.shutdown = stage, boot, shutdown
    app.progress = Progress()
    stage.bind(app)
    for source in stage.sources:
        topic = app.topic(source.topic, key_serializer="raw", value_serializer="raw")
        app.agent(topic, name=f"{group}.{source.topic}")(source.consume)
    return app


def _settings(broker: Broker) -> Mapping[str, Any]:
    return {
        "broker": "kafka://" + broker.url,
        "broker_credentials": broker.credentials,
        "store": "memory://",
        "datadir": Path(tempfile.mkdtemp(prefix="structured-prompt-")),
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": broker.member,
        "stream_wait_empty": False,
        "stream_buffer_maxsize": 65_536,
        "broker_commit_interval": 1.0,
        "broker_session_timeout": 10.0,
        "broker_heartbeat_interval": 2.0,
        "broker_request_timeout": 30.0,
        "broker_max_poll_interval": 300.0,
        "broker_max_poll_records": 500,
        "producer_request_timeout": 30.0,
    }


def run(apps: Sequence[StageApp], loop: asyncio.AbstractEventLoop) -> None:
    """Serve until a signal ends it; leaves by SystemExit with Faust's exit code."""
    worker = DrainingWorker(*apps, loglevel="INFO", quiet=True, redirect_stdouts=False, loop=loop)
    worker.execute_from_commandline()
