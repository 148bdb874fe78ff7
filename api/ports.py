"""What the API is built from; connectors/catalog.py fills it in production, tests with the in-memory twins."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from domain.admission.prepare import Preparer
from domain.health import Check
from domain.metrics import Metrics
from domain.ports import (
    Accounts,
    Budgets,
    Chunks,
    Decoder,
    Deliveries,
    Endpoints,
    Exporter,
    ExportJobs,
    ExportSchedules,
    Files,
    HealthBoard,
    Jobs,
    Ledger,
    Letters,
    Limiter,
    Originals,
    Producer,
    Queues,
    Replies,
    Schemas,
    SimilarAnswers,
    SinkBoard,
    SourceFile,
    SourceStore,
    Trail,
    UsageReader,
)
from domain.routing.catalogue import Catalogue
from domain.sources.decoding import JsonDecoder
from domain.sources.model import Source
from domain.tracing import NoTracing, Tracing


async def _nothing() -> None:
    """Nothing to open or close."""


def _of_json(_: Source) -> Decoder:
    return JsonDecoder()


@dataclass(frozen=True, slots=True)
class Dependency:
    """One line of /readyz. `check` answers within a second; without an `essential` one no request can be taken."""

    check: Callable[[], Awaitable[Check]]
    essential: bool = True


@dataclass(frozen=True, slots=True)
class ApiPorts:
    """`exposition` is what /metrics answers: the Prometheus text format, version 0.0.4.

    Ports that change what may be done leave rows of `trail` (connectors/audited). The producer gives up within two
    seconds: the client is waiting. `open` and `close` run with the server. decoder: of records that a source reads.
    """

    jobs: Jobs
    ledger: Ledger
    accounts: Accounts
    producer: Producer
    limiter: Limiter
    replies: Replies
    chunks: Chunks
    usage: UsageReader
    exporter: Exporter
    export_jobs: ExportJobs
    export_schedules: ExportSchedules
    letters: Letters
    originals: Originals
    queues: Queues
    health: HealthBoard
    budgets: Budgets
    schemas: Schemas
    sinks: SinkBoard
    sources: SourceFile
    source_store: SourceStore
    endpoints: Endpoints
    deliveries: Deliveries
    similar: SimilarAnswers
    trail: Trail
    preparer: Preparer
    catalogue: Catalogue
    metrics: Metrics
    exposition: Callable[[], bytes]
    export_files: Files | None = None
    decoder: Callable[[Source], Decoder] = _of_json
    tracing: Tracing = field(default_factory=NoTracing)
    dependencies: Mapping[str, Dependency] = field(default_factory=dict)
    open: Callable[[], Awaitable[None]] = _nothing
    close: Callable[[], Awaitable[None]] = _nothing
