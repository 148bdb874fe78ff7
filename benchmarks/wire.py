"""What compression and HTTP/2 cost and save: `python -m benchmarks.wire`.

Bytes and microseconds of CPU of real answers in each encoding, at the levels that api/application.py serves; then the
same GET over HTTP/1.1 and HTTP/2, without and with Caddy's TLS in front, where h2load and caddy are installed:
microseconds of CPU of the API and of Caddy a request.
"""

import asyncio
import gzip
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import brotli
import zstandard

from benchmarks.engines import free_port
from benchmarks.processes import Process
from tests.api.door import Door

ROUNDS, AGAIN = 5, 20
LEVEL = 4
"""starlette-compress's own, for all three."""
REQUESTS = 4_000
PROTOCOLS = {"HTTP/1.1": ["--h1", "-c", "16"], "HTTP/2": ["-c", "4", "-m", "4"]}
"""Sixteen at once in either."""
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, LEVEL),
    "br": lambda body: brotli.compress(body, quality=LEVEL),
    "zstd": lambda body: zstandard.ZstdCompressor(level=LEVEL).compress(body),
}
CADDYFILE = """{{
	admin off
	auto_https disable_redirects
	skip_install_trust
}}
https://localhost:{port} {{
	tls internal
	reverse_proxy 127.0.0.1:{api}
}}
"""


async def documents() -> dict[str, bytes]:
    """Answers of the API in memory, after a hundred requests."""
    async with Door().opened() as door:
        for number in range(100):
            text = f"Where is parcel {number}? It was due on {number % 28 + 1} May."
            await door.ask({"prompt": text, "metadata": {"order": number}}, path="/v1/analyze/async")
        one = await door.ask({"prompt": "Where is my parcel?"})
        paths = {"a page of 50 jobs": "/v1/jobs", "the OpenAPI document": "/openapi.json"}
        return {"a result": one.content} | {name: (await door.client.get(path)).content for name, path in paths.items()}


def encodings(bodies: dict[str, bytes]) -> None:
    print("| answer | bytes | gzip | µs | br | µs | zstd | µs |\n|" + " --- |" * 8)
    for name, body in bodies.items():
        cells = [name, f"{len(body):,}"]
        for encode in ENCODINGS.values():
            cells += [f"{len(encode(body)):,}", f"{cost(encode, body):,.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def cost(encode: Callable[[bytes], bytes], body: bytes) -> float:
    """Microseconds of CPU, best of ROUNDS."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(AGAIN):
            encode(body)
        best = min(best, (time.process_time() - began) / AGAIN * 1e6)
    return best


@contextmanager
def served() -> Iterator[tuple[Process, int, str]]:
    """The API on its in-memory twins, its port, and a key."""
    port = free_port()
    process = Process("api", ["tests.shield.server", str(port), "address_requests_per_minute=1000000000"])
    try:
        key = process.wait_line("sp_live_")
        process.wait_port(port)
        yield process, port, key
    finally:
        process.stop()


@contextmanager
def fronted(api: int) -> Iterator[tuple[Process, int]]:
    """Caddy with a certificate of its own authority."""
    port, directory = free_port(), Path(tempfile.mkdtemp(prefix="bench-caddy-"))
    file = directory / "Caddyfile"
    file.write_text(CADDYFILE.format(port=port, api=api))
    environment = {"HOME": str(directory), "XDG_DATA_HOME": str(directory)}
    words = ["run", "--config", str(file), "--adapter", "caddyfile"]
    process = Process("caddy", words, environment, interpreter=(shutil.which("caddy") or "caddy",))
    try:
        process.wait_port(port)
        yield process, port
    finally:
        process.stop()
        shutil.rmtree(directory, ignore_errors=True)


def protocols() -> None:
    with served() as (api, port, key), fronted(port) as (caddy, tls):
        print("\n| GET /v1/limits | requests/s | µs of the API | µs of Caddy |\n| --- | --- | --- | --- |")
        for url, name in ((f"http://127.0.0.1:{port}", "to the API"), (f"https://localhost:{tls}", "TLS by Caddy")):
            for version, options in PROTOCOLS.items():
                before = api.cpu, caddy.cpu
                rate = asked(f"{url}/v1/limits", key, options)
                used = [(now - then) / REQUESTS * 1e6 for now, then in zip((api.cpu, caddy.cpu), before, strict=True)]
                print(f"| {name}, {version} | {rate:,.0f} | {used[0]:,.0f} | {used[1]:,.0f} |", flush=True)


def asked(url: str, key: str, options: list[str]) -> float:
    """Requests a second. Exits when one was not answered 200."""
    command = ["h2load", "-n", str(REQUESTS), "-H", f"authorization: Bearer {key}", *options, url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate, good = re.search(r"([\d.]+) req/s", said), re.search(r"status codes: (\d+) 2xx", said)
    if rate is None or good is None or int(good[1]) != REQUESTS:
        sys.exit(f"h2load: {said}")
    return float(rate[1])


def main() -> None:
    encodings(asyncio.run(documents()))
    missing = [name for name in ("h2load", "caddy") if shutil.which(name) is None]
    if missing:
        print(f"not measured: HTTP/2, without {' and '.join(missing)}")
        return
    protocols()


if __name__ == "__main__":
    main()
