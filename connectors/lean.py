"""Libraries are loaded without what they would load only because it is installed too.

A long-running process keeps what was imported: 5 MB here, of which it uses nothing. Log lines have plain tracebacks
(telemetry/logs.py), and metrics are our own.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

UNUSED: Mapping[str, Sequence[str]] = {
    "structlog": ("rich", "better_exceptions"),
    "redis.asyncio": ("opentelemetry.sdk.metrics",),
}
"""What a library does without when it is not found, by the library that would load it."""


def load() -> None:
    """Before any module of a process is imported. Afterwards everything can be imported as ever."""
    for library, unused in UNUSED.items():
        with _hidden(unused):
            importlib.import_module(library)


@contextmanager
def _hidden(names: Sequence[str]) -> Iterator[None]:
    """Modules that are there already stay."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how Python says: not to be found
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
