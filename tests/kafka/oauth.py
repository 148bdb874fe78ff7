"""A broker that takes nothing but OAUTHBEARER, and an endpoint that gives tokens for it (unsigned JWTs, RFC 7519)."""

import json
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from ops.local import kafka
from ops.local.kafka_jars import default_cache
from ops.local.ports import Ports

CLIENT, SECRET, SCOPE = "ada", "correct horse", "kafka"
MODULE = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
# the broker speaks to itself in the clear, on a port that no client is told
MORE = f"""\
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config={MODULE} required unsecuredLoginStringClaim_sub="broker";
"""


class OAuthKafka(kafka.Kafka):
    """The embedded broker with one listener more, `oauth`; `metrics_port` is one for a worker."""

    def __init__(self, data: Path, ports: Ports) -> None:
        super().__init__(data, (ports.of("kafka"), ports.of("controller")), {}, default_cache())
        self.oauth = f"127.0.0.1:{ports.of('oauth')}"
        self.metrics_port = ports.of("worker")

    def prepare(self) -> None:
        super().prepare()
        text = self._config.read_text()
        text = text.replace(",CONTROLLER://", f",OAUTH://{self.oauth},CONTROLLER://", 1)
        text = text.replace("advertised.listeners=", f"advertised.listeners=OAUTH://{self.oauth},", 1)
        text = text.replace("protocol.map=", "protocol.map=OAUTH:SASL_PLAINTEXT,", 1)
        self._config.write_text(text + MORE)


def token(life: int = 300) -> str:
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": CLIENT, "iat": now, "exp": now + life})
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


class _Endpoint(BaseHTTPRequestHandler):
    asked: list[dict[str, list[str]]] = []

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        given = self.headers.get("authorization", "").removeprefix("Basic ")
        known = b64decode(given).decode() == f"{CLIENT}:{SECRET}"
        self.asked.append(form)
        body = json.dumps({"access_token": token(), "expires_in": 300} if known else {"error": "invalid_client"})
        self.send_response(200 if known else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def token_endpoint() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """Its URL, and the forms it was sent."""
    _Endpoint.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token", _Endpoint.asked
    finally:
        server.shutdown()
        server.server_close()
