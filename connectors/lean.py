"""Libraries are loaded without what they would load only because it is installed too.

A long-running process keeps what was imported: 5 MB here, of which it uses nothing. Log lines have plain tracebacks
(telemetry/logs.py), and metrics are our own.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence

from connectors.alone import without

UNUSED: Mapping[str, Sequence[str]] = {
    "structlog": ("rich", "better_exceptions"),
    "redis.asyncio": ("opentelemetry.sdk.metrics",),
}
"""What a library does without when it is not found, by the library that would load it."""


def load(libraries: Iterable[str] = UNUSED) -> None:
    """Before any module of a process is imported. Afterwards everything can be imported as ever.

    `libraries` are those that the process uses: each that it does not is memory for nothing (of Redis's client, 22 MB).
    """
    for library in libraries:
        with without(*UNUSED[library]):
            importlib.import_module(library)
