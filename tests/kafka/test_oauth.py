"""OAUTHBEARER with a broker that takes nothing else: the token provider, and a worker from end to end."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors.kafka import security
from connectors.kafka.tokens import ClientTokens, TokenRefused
from domain.settings import load
from ops.local.environment import clean
from ops.local.ports import Ports
from tests.conftest import Engines
from tests.kafka.oauth import CLIENT, SCOPE, SECRET, OAuthKafka, token_endpoint
from tests.line.processes import until


async def test_a_token_is_used_until_a_fifth_of_its_life_is_left() -> None:
    now = 0.0
    with token_endpoint() as (url, asked):
        tokens = ClientTokens(url, (CLIENT, SECRET), SCOPE, lambda: now)
        first = await tokens.token()
        now = 239.0
        assert await tokens.token() == first
        assert asked == [{"grant_type": ["client_credentials"], "scope": [SCOPE]}]
        now = 241.0
        await tokens.token()
        assert len(asked) == 2


async def test_an_endpoint_that_refuses_or_is_away_says_what_to_check() -> None:
    with token_endpoint() as (url, _), pytest.raises(TokenRefused, match=r"status 401.*KAFKA_SASL_PASSWORD"):
        await ClientTokens(url, (CLIENT, "wrong")).token()
    with pytest.raises(TokenRefused, match="KAFKA_SASL_TOKEN_URL") as refused:
        await ClientTokens(url, (CLIENT, SECRET)).token()
    assert SECRET not in str(refused.value)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OAuthKafka]:
    data = tmp_path_factory.mktemp("oauth")
    broker = OAuthKafka(data, Ports(data / "ports.json"))
    broker.prepare()
    with (data / "kafka.log").open("wb") as log:
        process = subprocess.Popen(broker.program().command, stdout=log, stderr=log, cwd=data, env=clean(os.environ))
    yield broker
    process.kill()
    process.wait()


@pytest.fixture
def environ(broker: OAuthKafka, engines: Engines, database_url: str, redis_url: str) -> Iterator[dict[str, str]]:
    with token_endpoint() as (url, _):
        yield clean(os.environ) | {
            "KAFKA_BOOTSTRAP_SERVERS": broker.oauth,
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
            "KAFKA_SASL_USERNAME": CLIENT,
            "KAFKA_SASL_PASSWORD": SECRET,
            "KAFKA_SASL_TOKEN_URL": url,
            "KAFKA_SASL_SCOPE": SCOPE,
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "CLICKHOUSE_URL": engines.clickhouse_url,
            "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
            "STRUCTURED_PROMPT_METRICS_PORT": str(broker.metrics_port),
        }


def test_a_worker_reads_and_writes_with_tokens_alone(environ: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main"]

    def topics_applied() -> bool:
        return (
            subprocess.run([*command, "topics", "apply"], env=environ, capture_output=True, check=False).returncode == 0
        )

    until(topics_applied, 60)
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen([*command, "worker", "--stage", "intake"], env=environ, stdout=output, stderr=output)
    try:
        until(lambda: ready(environ), 60, log.read_text)
        assert letter(environ)["code"] == "unknown_tenant"
    finally:
        worker.terminate()
        worker.wait(40)


def ready(environ: dict[str, str]) -> bool:
    with suppress(OSError):
        urllib.request.urlopen(
            f"http://127.0.0.1:{environ['STRUCTURED_PROMPT_METRICS_PORT']}/readyz", timeout=5
        ).close()
        return True
    return False


def letter(environ: dict[str, str]) -> dict[str, object]:
    """What becomes of a request of a tenant that nobody knows."""
    connection = security.librdkafka(load(environ, str))
    producer = Producer(connection)
    producer.produce("prompt.requests", json.dumps({"id": "r1", "tenant": "nobody", "prompt": "Is it good?"}))
    assert producer.flush(30) == 0
    consumer = Consumer({**connection, "group.id": "outside"})
    consumer.assign([TopicPartition("prompt.dead-letters", number, 0) for number in range(4)])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    return dict(json.loads(message.value()))
