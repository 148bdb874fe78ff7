"""A store that speaks S3, of this machine only.

`versitygw` where its program is found (`make tools TOOLS=versitygw` builds it): it checks signatures and stores files.
moto, a Python package, otherwise: it takes any secret, so it proves the protocol only.
"""

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.session import get_session

from ops.local.tools import found

ACCESS, SECRET = "access-of-a-test", "secret-of-a-test"


@dataclass(frozen=True)
class Store:
    """Where it is, and how our client and any AWS client are told."""

    url: str

    @property
    def options(self) -> dict[str, Any]:
        keys = {"aws_access_key_id": ACCESS, "aws_secret_access_key": SECRET}
        return {"endpoint_url": self.url, "region_name": "us-east-1", **keys}

    @property
    def environ(self) -> dict[str, str]:
        keys = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}
        return {"AWS_ENDPOINT_URL_S3": self.url, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", **keys}

    def client(self) -> Any:
        return get_session().create_client("s3", **self.options)


def program() -> str | None:
    """versitygw's, where there is one."""
    return found("versitygw")


@contextmanager
def versitygw(directory: Path) -> Iterator[Store]:
    gateway = program()
    assert gateway is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [gateway, "--port", f"127.0.0.1:{port}", "--access", ACCESS, "--secret", SECRET, "posix", str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_it_listens(port)
        yield Store(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


@contextmanager
def moto() -> Iterator[Store]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield Store(f"http://{host}:{port}")
    finally:
        # its buckets are the Python process's, not the server's: without this the next one would have them
        urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
        server.stop()


def _until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("versitygw does not listen")
