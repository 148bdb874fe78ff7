"""The list of rights in docs/security.md, on a broker that refuses everything else: TLS, SCRAM-SHA-512 and OAUTHBEARER.

Every process does its work with its principal and the rights of its row alone: requests over HTTP, over a tenant's own
topic and from a source go through the line into ClickHouse, PostgreSQL, a bucket, another cluster's topics, a callback
and the source's output; answers are invalidated, dead letters kept and redriven. Infer signs in with a token and the
others with a password, so that both Kafka clients of a worker do both.
"""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from confluent_kafka import Consumer, KafkaError, Producer

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import apply
from connectors.kafka.mirror import KafkaMirror
from tests.conftest import Engines
from tests.kafka.oauth import CLIENT
from tests.kafka.other_sinks import MIRROR, OTHER, SINKS, other_sinks
from tests.kafka.principals import ANSWERS, TICKETS, Principals
from tests.kafka.rights import PREFIX, applied, as_user, client, produced, unreadable
from tests.kafka.secured import SecuredKafka, rights_of, secured
from tests.line.processes import TENANT, processes, until
from topics.table import CONTROL, DEAD_LETTERS, REQUESTS, RESULTS, requests_of, with_tenants

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
PUBLISHER = {"Read": "–", "group (Read)": "–", "Write": f"`{requests_of(TENANT)}`"}
CRM = {"Read": f"`{ANSWERS}`", "group (Read)": "`reader`", "Write": f"`{TICKETS}`"}
READER = {"Read": f"`{RESULTS}`, `{DEAD_LETTERS}`", "group (Read)": "`reader`", "Write": "–"}


def users_of(rights: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Names of the page's rows filled in, and who is no process of ours."""
    names = ("clickhouse", *SINKS)
    sinks = {sink: {name: cell.replace("NAME", sink) for name, cell in rights["sink NAME"].items()} for sink in names}
    sources = {name: cell.replace("NAME", "tickets") for name, cell in rights["sources"].items()}
    sources["Read"] += f", `{TICKETS}`"
    sources["Write"] += f", `{ANSWERS}`"
    return {
        "api": rights["api"], "intake": rights["worker intake"], CLIENT: rights["worker infer"],
        "wake": rights["worker wake"], "destinations": rights["sink destinations"], **sinks,
        "sources": sources, "publisher": PUBLISHER, "crm": CRM, "reader": READER,
    }  # fmt: skip


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    with secured(tmp_path_factory.mktemp("secured")) as broker:
        for user, granted in users_of(rights_of(page)).items():
            broker.enlist(user)
            broker.allow(user, granted, "")
            broker.allow(user, granted, PREFIX)
        broker.enlist(MIRROR)
        broker.allow(MIRROR, rights_of(page)["sink kafka, on the other cluster"], OTHER)
        broker.create(*(OTHER + name for name in KafkaMirror.topics))
        broker.create(*(topic.name for topic in with_tenants([TENANT])), PREFIX + TICKETS, PREFIX + ANSWERS)
        yield broker


@pytest.fixture
def line(
    broker: SecuredKafka, engines: Engines, request: pytest.FixtureRequest, clickhouse_url: str, tmp_path: Path
) -> Iterator[Principals]:
    async def prepare() -> None:
        async with ClickHouse(clickhouse_url) as clickhouse:
            await apply(clickhouse)

    urls = [request.getfixturevalue(name) for name in ("database_url", "redis_url")]
    until(lambda: applied(broker), 120)
    asyncio.run(prepare())
    with (
        processes(replace(engines, kafka=broker.url), *urls, PREFIX, tmp_path) as line,
        other_sinks(broker, urls[0], 1) as others,
    ):
        line.environ["CLICKHOUSE_URL"] = clickhouse_url
        with Principals(line, broker, others).running() as principals:
            yield principals


@pytest.fixture
def calls() -> Iterator[tuple[str, list[bytes]]]:
    """An address for callbacks, and what came there."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", got
        server.shutdown()


def test_every_process_does_its_work_with_the_rights_of_its_row(
    line: Principals, calls: tuple[str, list[bytes]]
) -> None:
    url, got = calls
    line.ask_over_http("http-1", url)
    until(lambda: bool(got), 90, line.said("destinations"))
    line.is_stored("http-1")
    line.is_carried_elsewhere("http-1")
    line.invalidate()
    line.is_answered_on_its_topic("topic-1")
    line.is_answered_from_its_source("7")
    line.a_forged_request_is_kept_and_redriven("two")
    line.originals_are_read()
    line.nobody_was_refused()


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("publisher", REQUESTS), ("publisher", requests_of("globex")), ("publisher", "prompt.calls.standard"),
        ("publisher", RESULTS), ("publisher", CONTROL), ("intake", REQUESTS), ("intake", "prompt.usage"),
        (CLIENT, "prompt.calls.standard"), (CLIENT, REQUESTS), ("reader", RESULTS), ("api", "prompt.calls.standard"),
        ("api", RESULTS), ("wake", CONTROL), ("clickhouse", RESULTS), ("destinations", RESULTS), ("sources", RESULTS),
        ("sources", "prompt.calls.standard"), ("postgres", RESULTS), ("kafka", RESULTS), ("s3", RESULTS),
        (MIRROR, RESULTS), (MIRROR, OTHER + DEAD_LETTERS),
    ],
)  # fmt: skip
def test_nobody_writes_where_the_list_does_not_say(broker: SecuredKafka, user: str, topic: str) -> None:
    error = produced(as_user(broker, user), topic, {"id": "three", "tenant": TENANT, "prompt": "?"})
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("reader", REQUESTS), ("reader", requests_of(TENANT)), ("reader", "prompt.calls.standard"),
        ("publisher", requests_of(TENANT)), ("intake", RESULTS), (CLIENT, DEAD_LETTERS), ("api", RESULTS),
        ("wake", REQUESTS), ("clickhouse", REQUESTS), ("destinations", "prompt.usage"), ("sources", REQUESTS),
        ("s3", REQUESTS), ("kafka", OTHER + RESULTS), (MIRROR, RESULTS), (MIRROR, OTHER + RESULTS),
    ],
)  # fmt: skip
def test_nobody_reads_what_the_list_does_not_say(broker: SecuredKafka, user: str, topic: str) -> None:
    """Nor does who may write there."""
    consumer = Consumer({**client(as_user(broker, user)), "group.id": "reader", "enable.auto.commit": False})
    try:
        assert unreadable(consumer, topic)
    finally:
        consumer.close()


def test_a_wrong_password_and_another_authority_let_nobody_in(broker: SecuredKafka, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    is_refused(as_user(broker, "intake", "wrong"), KafkaError._AUTHENTICATION)
    is_refused(as_user(broker, "intake") | {"KAFKA_SSL_CAFILE": str(other)}, KafkaError._SSL)


def is_refused(named: dict[str, str], code: int) -> None:
    """Fails unless the client is told this reason."""
    heard: set[int] = set()
    producer = Producer({**client(named), "error_cb": lambda error: heard.add(error.code())})

    def told() -> bool:
        producer.poll(0.1)
        return code in heard

    until(told, 60, lambda: str(heard))
