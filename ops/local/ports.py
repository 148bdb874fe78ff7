"""Ports of the embedded stack: free ones, remembered in the data directory so that a restart keeps its addresses.

They come from below the ephemeral ranges of Linux (32768–60999) and macOS (49152–65535): there the kernel could give
the port of an engine that is being restarted to somebody's outgoing connection.
"""

import json
import random
import socket
from collections.abc import Callable
from pathlib import Path

from .program import StackError

FIRST, LAST = 20_000, 32_000


def is_free(port: int) -> bool:
    """Whether 127.0.0.1:`port` can be bound now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Ports:
    """The port of each name, remembered in `path`; a remembered one that somebody else took is replaced."""

    def __init__(self, path: Path, free: Callable[[int], bool] = is_free) -> None:
        self._path = path
        self._free = free
        self._known: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}

    def of(self, name: str) -> int:
        port = self._known.get(name)
        if port is None or not self._free(port):
            port = self._pick()
        return self._remember(name, port)

    def asked(self, name: str, wanted: int | None, default: int) -> int:
        """`wanted` or StackError when it is taken; without a wish the remembered one, else `default` or the next."""
        if wanted is not None:
            if not self._free(wanted):
                raise StackError(f"port {wanted} is taken: choose another --port, or stop what listens on it")
            return self._remember(name, wanted)
        start = self._known.get(name, default)
        candidates = (port for port in range(start, min(start + 1000, 65_536)) if self._free(port))
        return self._remember(name, next(candidates))

    def _pick(self) -> int:
        taken = set(self._known.values())
        for _ in range(1000):
            port = random.randrange(FIRST, LAST)  # noqa: S311 (an address, not a secret)
            if port not in taken and self._free(port):
                return port
        raise StackError(f"no free port between {FIRST} and {LAST} on 127.0.0.1")

    def _remember(self, name: str, port: int) -> int:
        if self._known.get(name) != port:
            self._known[name] = port
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._known, indent=1, sort_keys=True))
        return port
