"""Documents from a bucket and from an address of this machine, through real workers."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import s3
from tests.conftest import Engines
from tests.line.processes import TENANT, Processes, processes
from tests.line.test_takeover import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]
SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["positive", "negative", "neutral"]}},
    "required": ["label"],
}


class Page(http.server.BaseHTTPRequestHandler):
    """Two megabytes of praise."""

    def do_GET(self) -> None:
        body = b"Wonderful, excellent, I love it. " * 64_000
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def page() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[s3.Store]:
    directory = tmp_path / "store"
    directory.mkdir()
    with s3.versitygw(directory) if s3.program() else s3.moto() as found:
        client = found.client()
        client.create_bucket(Bucket="docs")
        for tenant in (TENANT, "other"):
            body = b"Terrible, awful, it broke and I hate it. " * 64_000
            client.put_object(Bucket="docs", Key=f"{tenant}/review.txt", Body=body, ContentType="text/plain")
        yield found


@pytest.fixture
def line(engines: Engines, database_url: str, redis_url: str, topic_prefix: str, tmp_path: Path) -> Iterator[Processes]:
    with processes(engines, database_url, redis_url, topic_prefix, tmp_path) as found:
        yield found


def test_documents_larger_than_a_message_are_asked_about(line: Processes, store: s3.Store, page: str) -> None:
    line.environ |= store.environ | {
        "STRUCTURED_PROMPT_FETCH": f"s3://docs/{{tenant}}/,{page}",
        "STRUCTURED_PROMPT_FETCH_ALLOW": "127.0.0.0/8",
    }
    line.start("intake,infer,wake", free_port())
    urls = {"bucket": f"s3://docs/{TENANT}/review.txt", "address": page + "review.txt",
            "other": "s3://docs/other/review.txt", "none": f"s3://docs/{TENANT}/none.txt"}  # fmt: skip
    line.publish([
        {"id": id, "output_schema": SCHEMA, "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is the sentiment?"}, {"type": "file", "file": {"file_data": url}}]}]}
        for id, url in urls.items()
    ])  # fmt: skip
    found = {id: json.loads(values[0]) for id, values in line.results(list(urls), 60).items()}
    assert set(found) == set(urls), line.workers[0].log.read_text()[-4_000:]
    assert found["bucket"]["output"] == {"label": "negative"}
    assert found["address"]["output"] == {"label": "positive"}
    assert found["bucket"]["usage"]["input_tokens"] > 100_000
    for id in ("other", "none"):
        assert (found[id]["status"], found[id]["error"]["code"]) == ("rejected", "invalid_request")
    assert sum(line.calls().values()) == 2
    assert line.workers[0].metric("documents_total") == 3
