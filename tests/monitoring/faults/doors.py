"""The API as those see it who ask it all the time."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress

from ops.local.monitoring import HOST
from tests.line.processes import TENANT, Worker
from tests.line.test_takeover import free_port
from tests.monitoring.faults.place import Line


def ask_the_door(line: Line, path: str, body: Mapping[str, str] | None = None) -> Worker:
    """A process of the API that is asked four times a second, one after the other."""
    port = free_port()
    worker = line.start("api-1", "api", STRUCTURED_PROMPT_API_PORT=str(port))
    key = next(word for word in line.command("keys", "create", "--tenant", TENANT).split() if word.startswith("sp_"))
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    given = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(f"http://{HOST}:{port}{path}", given, headers)

    def work() -> None:
        while not line.stop.wait(0.25):
            with suppress(OSError, urllib.error.HTTPError):
                urllib.request.urlopen(asked, timeout=10).close()

    threading.Thread(target=work, daemon=True).start()
    return worker
