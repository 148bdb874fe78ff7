"""Webhooks on the whole stack: made over HTTP, told of a request over Kafka, verified as a receiver does."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.e2e.conftest import Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
Got = tuple[str, dict[str, str], bytes]


@pytest.fixture
def client(product: Product) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {product.env['API_KEY']}"}
    with httpx.Client(base_url=product.env["API_URL"], headers=headers, timeout=40) as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[Got]]]:
    """Its address, and what it got. `/flaky` answers 503 the first time."""
    got: list[Got] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            first = not any(path == self.path for path, _, _ in got)
            got.append((self.path, {name.lower(): text for name, text in self.headers.items()}, body))
            self.send_response(503 if first and self.path == "/flaky" else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()
    thread.join()


def until(happened: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_request_is_told_to_endpoint_and_callback_and_again_after_a_failure(
    product: Product, client: httpx.Client, receiver: tuple[str, list[Got]]
) -> None:
    url, got = receiver
    made = client.post("/v1/webhooks", json={"url": f"{url}/flaky", "events": ["request.completed"]})
    assert made.status_code == 201, made.text
    id, place = uuid.uuid4().hex, f"/v1/webhooks/{made.json()['id']}"
    body = {"id": id, "tenant": "demo", "prompt": f"Parcel {id} is late.", "callback_url": f"{url}/callback"}
    try:
        product.publish(body)
        until(lambda: len(got) >= 3)  # the endpoint's second attempt is five seconds after the first
        until(lambda: client.get(f"{place}/deliveries").json()["items"][0]["status"] == "delivered")
        [line] = client.get(f"{place}/deliveries").json()["items"]
        whole = client.get(line["links"]["self"]).json()
    finally:
        assert client.delete(place).status_code == 204
    assert [attempt["status"] for attempt in whole["attempts"]] == [503, 204]
    (result,) = product.results([id])[id]
    del result["_raw"]
    secrets = {
        "/flaky": made.json()["secret"],
        "/callback": client.get("/v1/webhooks/callback-secret").json()["secret"],
    }
    for path, headers, sent in got:
        Webhook(secrets[path]).verify(sent, headers)
        assert json.loads(sent)["data"] == result
    assert len({headers["webhook-id"] for _, headers, _ in got}) == 2
