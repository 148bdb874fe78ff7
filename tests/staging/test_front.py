"""What stands in front in staging: its own Caddyfile, before the API."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from api.documentation import ProblemDetails
from ops.smoke import edge
from ops.smoke.routes import Round, described, in_order
from tests.shield.conftest import free_port
from tests.staging.conftest import Fronted, Staged, caddy_version


def test_the_smoke_tests_find_the_front_as_it_should_be(staged: Staged) -> None:
    """TLS, HTTP/2, redirect, headers, compression: `make smoke` asks the same."""
    with staged.client() as client:
        assert edge.problems(client, staged.url, staged.redirect_port) == []


def test_the_smoke_tests_find_a_front_that_is_not(staged: Staged) -> None:
    """Without HTTP/2, and with the redirect of another port."""
    with staged.client(http2=False) as client:
        found = edge.problems(client, staged.url + "0", staged.redirect_port)
    assert [problem.removeprefix("it does not hold that it ") for problem in found] == [
        "speaks HTTP/2",
        "redirects from http",
    ]


def test_where_no_api_answers_the_front_says_so_as_the_api_would(fronted: Fronted) -> None:
    with fronted("127.0.0.1:9").client() as client:
        answer = client.get("/v1/models", timeout=30)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.headers["content-type"] == "application/problem+json"
    assert ProblemDetails.model_validate_json(answer.content).code == "unavailable"
    assert {name: part in answer.headers.get(name, "") for name, part in edge.HEADERS.items()} == dict.fromkeys(
        edge.HEADERS, True
    )
    assert "caddy" not in str(answer.headers).lower()


def test_a_request_with_a_body_waits_for_an_api_that_is_being_replaced(fronted: Fronted) -> None:
    if caddy_version() < (2, 11, 4):
        pytest.skip("Caddy before 2.11.4 forgets the body of a request that waits: make tools TOOLS=caddy")
    port = free_port()
    with fronted(f"127.0.0.1:{port}").client() as client, ThreadPoolExecutor() as beside:
        asked = [beside.submit(client.post, "/v1/analyze", content=b"{}", timeout=30) for _ in range(5)]
        time.sleep(1)  # they are refused meanwhile, ten times a second
        with answering(port):
            answers = [one.result() for one in asked]
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"{}")] * 5


class Echo(BaseHTTPRequestHandler):
    """Says what it was sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(port: int) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", port), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


def chunks(size: int) -> Iterator[bytes]:
    """A body that does not say how long it is."""
    for _ in range(0, size, 65_536):
        yield b"a" * 65_536


@pytest.mark.parametrize("expect", [{}, {"expect": "100-continue"}])
@pytest.mark.parametrize("size", [1_500_000, 20_000_000])
@pytest.mark.parametrize("told", [True, False], ids=["with its length", "without"])
def test_a_body_that_is_too_large_is_a_413_and_never_the_fronts_503(
    staged: Staged, size: int, told: bool, expect: dict[str, str]
) -> None:
    with staged.client(http2=False) as client:
        answers = [
            client.post("/v1/analyze", content=b"a" * size if told else chunks(size), headers=expect) for _ in range(5)
        ]
    assert [answer.status_code for answer in answers] == [413] * 5
    assert {ProblemDetails.model_validate_json(answer.content).code for answer in answers} == {"too_large"}
    assert all("content-security-policy" in answer.headers for answer in answers)


def test_every_route_of_the_document_is_asked_and_answers_as_described(staged: Staged) -> None:
    with staged.client() as client:
        document = client.get("/openapi.json").json()
        done = Round(client, edge.INSIDE).run(document)
    assert {(one.operation.verb, one.operation.path) for one in done} == described(document)
    assert [f"{one.operation.verb} {one.path}: {one.problem}" for one in done if one.problem] == []
    assert len(done) > 50
    assert sum(one.status < 300 for one in done) > 30


def test_what_a_round_makes_it_removes_and_removals_come_last() -> None:
    document = {
        "paths": {
            "/v1/things/{id}": {"delete": {"responses": {"204": {}}}, "get": {"responses": {"200": {}}}},
            "/v1/things": {"post": {"responses": {"201": {}}}},
            "/v1/things/{id}/parts/{part}": {"delete": {"responses": {"204": {}}}},
        }
    }
    assert [(one.verb, one.path) for one in in_order(document)] == [
        ("post", "/v1/things"),
        ("get", "/v1/things/{id}"),
        ("delete", "/v1/things/{id}/parts/{part}"),
        ("delete", "/v1/things/{id}"),
    ]


def test_a_route_that_breaks_its_description_is_a_problem() -> None:
    """The gate would prove nothing if nothing could fail it."""
    document = {"paths": {path: {"get": {"responses": {"200": {}, "404": {}, "500": {}}}} for path in ("/v1/a", "/b")}}
    for status, wrong in ((200, 0), (500, 2), (401, 2), (418, 2), (404, 1)):
        transport = httpx.MockTransport(lambda _, status=status: httpx.Response(status))
        with httpx.Client(transport=transport, base_url="https://staging.example") as client:
            done = Round(client, frozenset()).run(document)
        assert sum(one.problem is not None for one in done) == wrong, status


def test_metrics_are_not_for_strangers_and_the_api_serves_them(staged: Staged) -> None:
    with staged.client() as client:
        assert {client.get(path).status_code for path in ("/metrics", "/readyz", "/metrics/", "/readyz/x")} == {404}
        assert client.get("/healthz").status_code == 200
