"""What is looked at from outside of our processes: a disk, the door, a receiver of webhooks."""

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ops.local.monitoring import HOST
from tests.line.processes import until
from tests.line.test_takeover import free_port
from tests.monitoring.faults import causes
from tests.monitoring.faults.causes import Alert, Fault
from tests.monitoring.faults.place import Place, listens, program
from tests.webhooks.receiver import receiving

MODULES = "modules: {http_2xx: {prober: http, timeout: 5s, http: {tls_config: {insecure_skip_verify: true}}}}\n"
SECURE = """
import http.server, ssl, sys
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def disk(place: Place) -> list[Fault]:
    """A file system of 32 MB that fills."""
    exporter = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if exporter is None or os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        print("DiskFills is left out: it wants root, mkfs.ext4 and node_exporter", file=sys.stderr)
        return []
    image, mounted, port = place.directory / "image", place.directory / "disk", free_port()
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
    place.stack.callback(lambda: subprocess.run(["umount", str(mounted)], check=True))
    words = [exporter, "--collector.disable-defaults", "--collector.filesystem", f"--web.listen-address={HOST}:{port}"]
    place.stack.enter_context(program(words, place.directory / "node.log"))
    place.scrapes.append({"job_name": "node", "static_configs": [{"targets": [f"{HOST}:{port}"]}]})
    alert = Alert("DiskFills", (("mountpoint", str(mounted)),))
    return [
        Fault("a file system of 32 MB is filled", lambda: causes.fill(mounted), (alert,),
              "what filled it is deleted", (mounted / "full").unlink)
    ]  # fmt: skip


def door(place: Place) -> list[Fault]:
    """An address that answers, and then does not."""
    ours = free_port()
    if not _looks(place, f"http://{HOST}:{ours}/"):
        print("DoorUnreachable is left out: it wants blackbox_exporter", file=sys.stderr)
        return []
    page = [sys.executable, "-m", "http.server", str(ours), "--bind", HOST, "--directory", str(place.directory)]
    served = place.stack.enter_context(program(page, place.directory / "page.log"))
    until(lambda: listens(ours), 60)
    return [
        Fault("what listened at the address is killed", served.kill, (Alert("DoorUnreachable"),),
              "it listens again", lambda: _again(place, page, ours))
    ]  # fmt: skip


def _looks(place: Place, url: str) -> bool:
    """A blackbox_exporter of its own asks the address; whether there is one."""
    exporter, port = shutil.which("prometheus-blackbox-exporter") or shutil.which("blackbox_exporter"), free_port()
    if exporter is None:
        return False
    config = place.directory / "blackbox.yml"
    config.write_text(MODULES)
    words = [exporter, f"--config.file={config}", f"--web.listen-address={HOST}:{port}"]
    place.stack.enter_context(program(words, place.directory / f"blackbox-{port}.log"))
    place.scrapes.append({
        "job_name": "outside", "metrics_path": "/probe", "params": {"module": ["http_2xx"], "target": [url]},
        "scrape_interval": "30s", "scrape_timeout": "10s", "static_configs": [{"targets": [f"{HOST}:{port}"]}],
    })  # fmt: skip
    return True


def certificate(place: Place) -> list[Fault]:
    """An address whose certificate ends in ninety days, then in ten; an hour is a minute with `--faster 60`."""
    ours = free_port()
    if not _looks(place, f"https://{HOST}:{ours}/") or shutil.which("openssl") is None:
        print("CertificateEnds is left out: it wants blackbox_exporter and openssl", file=sys.stderr)
        return []
    found = [_secured(place, ours, 90)]

    def change(days: int) -> None:
        found[-1].kill()
        found[-1].wait()
        found.append(_secured(place, ours, days))

    return [
        Fault("a certificate that ends in ten days", lambda: change(10), (Alert("CertificateEnds"),),
              "one of ninety days is read", lambda: change(90))
    ]  # fmt: skip


def _secured(place: Place, port: int, days: int) -> "subprocess.Popen[bytes]":
    pem = str(place.directory / "certificate.pem")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", str(days)]
    subprocess.run([*words, "-keyout", pem, "-out", f"{pem}.crt"], check=True, capture_output=True)
    with open(pem, "a") as file, open(f"{pem}.crt") as certificate:
        file.write(certificate.read())
    command = [sys.executable, "-c", SECURE, str(port), pem]
    process = place.stack.enter_context(program(command, place.directory / "secured.log"))
    until(lambda: listens(port), 60)
    return process


def _again(place: Place, page: list[str], port: int) -> None:
    place.stack.enter_context(program(page, place.directory / "page.log"))
    until(lambda: listens(port), 60)


@contextmanager
def receiver() -> Iterator[str]:
    """Its address; it behaves as the path says (tests/webhooks/receiver.py)."""
    ready, found = threading.Event(), []

    async def serve() -> None:
        async with receiving() as one:
            found.append(one.url("").rstrip("/"))
            ready.set()
            await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True).start()
    assert ready.wait(30)
    yield found[0]
