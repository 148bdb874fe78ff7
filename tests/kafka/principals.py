"""Every process of the product, each as a user of its own, and what is asked of them."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.clickhouse.client import ClickHouse
from connectors.kafka import security
from connectors.kafka.originals import KafkaOriginals
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.pool import connect
from domain.accounts import keys
from domain.ledger.model import Source
from tests.kafka.oauth import CLIENT, SCOPE, SECRET, token_endpoint
from tests.kafka.other_sinks import SINKS, OtherSinks
from tests.kafka.rights import PREFIX, as_user, produced, read, settings
from tests.kafka.secured import SecuredKafka
from tests.line.processes import PARTITIONS, TENANT, Processes, Worker, until
from tests.line.test_takeover import free_port
from topics.table import DEAD_LETTERS, REQUESTS, RESULTS, requests_of

TICKETS, ANSWERS = "crm-tickets", "crm-answers"
SOURCES = """
sources:
  tickets:
    topic: {prefix}crm-tickets
    output: {prefix}crm-answers
    request: {{tenant: {tenant}, prompt: "Is it good?"}}
    map: {{id: "join('-', ['ticket', number])"}}
"""
COMMANDS = {
    "intake": ("worker", "--stage", "intake"), "infer": ("worker", "--stage", "infer"),
    "wake": ("worker", "--stage", "wake"), "api": ("api",), "clickhouse": ("sink", "clickhouse"),
    "destinations": ("sink", "destinations"), "sources": ("sources",), **{name: ("sink", name) for name in SINKS},
}  # fmt: skip


@dataclass
class Principals:
    """`line` has the topics and the database."""

    line: Processes
    broker: SecuredKafka
    others: OtherSinks
    running_as: dict[str, Worker] = field(default_factory=dict)
    api_port: int = field(default_factory=free_port)
    key: str = ""

    @contextmanager
    def running(self) -> Iterator["Principals"]:
        """All of them, ready."""
        self.line.environ |= {
            "STRUCTURED_PROMPT_TENANT_TOPICS": TENANT, "STRUCTURED_PROMPT_API_PORT": str(self.api_port),
            "STRUCTURED_PROMPT_WEBHOOK_ALLOW": "127.0.0.0/8",
            "STRUCTURED_PROMPT_SOURCES": str(self.line.directory / "sources.yaml"),
        }  # fmt: skip
        (self.line.directory / "sources.yaml").write_text(SOURCES.format(prefix=PREFIX, tenant=TENANT))
        self.key = self._issued()
        with token_endpoint() as (url, _):
            tokens = {"KAFKA_SASL_MECHANISM": "OAUTHBEARER", "KAFKA_SASL_TOKEN_URL": url, "KAFKA_SASL_SCOPE": SCOPE}
            for name, words in COMMANDS.items():
                own = as_user(self.broker, CLIENT, SECRET) | tokens if name == "infer" else as_user(self.broker, name)
                self.running_as[name] = self._start(name, words, own | self.others.settings(name))
            for worker in self.running_as.values():
                until(worker.is_ready, 120, worker.log.read_text)
            yield self

    def _start(self, name: str, words: tuple[str, ...], own: dict[str, str]) -> Worker:
        port, log = free_port(), self.line.directory / f"{name}.log"
        environ = self.line.environ | own | {"STRUCTURED_PROMPT_METRICS_PORT": str(port)}
        with log.open("wb") as output:
            command = [sys.executable, "-m", "cli.main", *words]
            process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
        worker = Worker(process, port, log)
        self.line.workers.append(worker)
        return worker

    def _issued(self) -> str:
        pepper = self.line.settings.key_pepper.get_secret_value().encode()
        issued = keys.issue(TENANT, "rights", pepper, datetime.now(UTC))

        async def create() -> None:
            pool = await connect(self.line.settings.database_url.get_secret_value(), 1)
            await PostgresAccounts(pool).create_key(issued.key)
            await pool.close()

        asyncio.run(create())
        return issued.secret

    def call(self, method: str, path: str, body: object = None) -> Any:
        head = {"authorization": f"Bearer {self.key}", "content-type": "application/json", "prefer": "wait=60"}
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.api_port}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data, head, method=method), timeout=90) as answer:
            return json.loads(answer.read())

    def ask_over_http(self, id: str, callback: str) -> None:
        body = {"id": id, "prompt": "Is it good?", "callback_url": callback}
        assert self.call("POST", "/v1/analyze", body)["status"] == "completed"

    def is_stored(self, id: str) -> None:
        async def count() -> int:
            async with ClickHouse(self.line.environ["CLICKHOUSE_URL"]) as clickhouse:
                return len(await clickhouse.select("SELECT id FROM results WHERE id = {id:String}", {"id": id}))

        until(lambda: asyncio.run(count()) > 0, 90, self.said("clickhouse"))

    def is_carried_elsewhere(self, id: str) -> None:
        for name, there in self.others.seen(id).items():
            until(there, 90, self.said(name))

    def invalidate(self) -> None:
        assert self.call("POST", "/v1/cache", {"all": True})

    def is_answered_on_its_topic(self, id: str) -> None:
        asked = {"id": id, "tenant": TENANT, "prompt": "Is it good?"}
        assert produced(as_user(self.broker, "publisher"), PREFIX + requests_of(TENANT), asked) is None
        result = read(as_user(self.broker, "reader"), PREFIX + RESULTS, PARTITIONS, id)
        assert result["status"] == "completed"

    def is_answered_from_its_source(self, number: str) -> None:
        assert produced(as_user(self.broker, "crm"), PREFIX + TICKETS, {"number": number}) is None
        result = read(as_user(self.broker, "crm"), PREFIX + ANSWERS, 1, f"ticket-{number}")
        assert result["status"] == "completed"

    def a_forged_request_is_kept_and_redriven(self, id: str) -> None:
        """Intake buries it, wake keeps it in its table and publishes it anew, to the tenant's own topic."""
        topic = PREFIX + requests_of(TENANT)
        asked = {"id": id, "tenant": "globex", "prompt": "Is it good?"}
        assert produced(as_user(self.broker, "publisher"), topic, asked) is None
        letter = read(as_user(self.broker, "reader"), PREFIX + DEAD_LETTERS, 4)
        assert (letter["topic"], letter["tenant"]) == (topic, TENANT)
        until(lambda: bool(self.call("GET", "/v1/dead-letters")["items"]), 90, self.said("wake"))
        [kept] = self.call("GET", "/v1/dead-letters")["items"]
        self.call("POST", kept["links"]["redrive"], {})
        until(lambda: self.running_as["wake"].metric("letters_republished_total") == 1, 90, self.said("wake"))

    def originals_are_read(self) -> None:
        """What the API reads to redrive with another template."""
        api = KafkaOriginals(security.librdkafka(settings(as_user(self.broker, "api"))))
        for topic in (PREFIX + REQUESTS, PREFIX + requests_of(TENANT)):
            values = asyncio.run(api.read([Source(topic, number, 0) for number in range(PARTITIONS)]))
            assert any(value is not None for value in values), topic

    def nobody_was_refused(self) -> None:
        for name, worker in self.running_as.items():
            assert "AUTHORIZATION_FAILED" not in worker.log.read_text(), name

    def said(self, name: str) -> Callable[[], str]:
        return self.running_as[name].log.read_text
