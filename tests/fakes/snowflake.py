"""fakesnow in a process of its own: a server that speaks Snowflake's protocol over DuckDB, made by others.

https://github.com/tekumara/fakesnow. It is not Snowflake: it knows no rights, warehouses or quotas.
"""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

START = "import sys, uvicorn, fakesnow.server as s; uvicorn.run(s.app, port=int(sys.argv[1]), log_level='error')"


@contextmanager
def snowflake() -> Iterator[str]:
    """Its address, until the end."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", START, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("fakesnow did not start within 90 s")


def main() -> None:
    """Serve until killed: prints the address."""
    # without it SIGTERM would end this process alone, and leave the server
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with snowflake() as url:
        print(url, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
