"""One request by HTTP and one by Kafka, each followed to its rows in ClickHouse."""

import json
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

SECONDS = 60.0
TEXT = "Terrible. It broke on day two, order {id}."  # another question each time: an answer from the cache has no call


class Unfollowed(Exception):
    """A request that left no trace in time; the message says where it was last seen."""


def by_http(client: httpx.Client) -> tuple[str, str]:
    """(tenant, id) of a request that the API has answered. Raises Unfollowed."""
    body = _question()
    answer = client.post("/v1/analyze", json=body, timeout=SECONDS + 30)
    if answer.status_code != 200 or answer.json()["status"] != "completed":
        raise Unfollowed(f"POST /v1/analyze answers {answer.status_code}: {answer.text[:300]}")
    return str(answer.json()["tenant"]), str(body["id"])


def by_kafka(bootstrap: str, tenant: str, prefix: str = "") -> str:
    """The id of a request that the broker has acknowledged. Raises Unfollowed."""
    from confluent_kafka import Producer

    body = {**_question(), "tenant": tenant}
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "message.timeout.ms": 30_000})
    producer.produce(f"{prefix}prompt.requests", json.dumps(body))
    if producer.flush(40):
        raise Unfollowed(f"the broker {bootstrap} does not acknowledge an event")
    return str(body["id"])


def _question() -> dict[str, Any]:
    id = f"smoke-{secrets.token_hex(8)}"
    return {"id": id, "template": {"name": "sentiment", "variables": {"text": TEXT.format(id=id)}}}


def to_the_rows(clickhouse: str, tenant: str, id: str) -> tuple[str, str]:
    """(status, cost) of the request in ClickHouse. Raises Unfollowed."""
    parts = urlsplit(clickhouse)
    url = f"{parts.scheme}://{parts.hostname}:{parts.port or 8123}/"
    query = (
        "SELECT r.status AS status, toString(sum(c.cost_usd)) AS cost, count() AS calls FROM results AS r FINAL "
        "INNER JOIN calls AS c FINAL ON c.tenant = r.tenant AND c.id = r.id "
        "WHERE r.tenant = {tenant:String} AND r.id = {id:String} GROUP BY status FORMAT JSON"
    )
    asked = {"database": parts.path.strip("/"), "query": query, "param_tenant": tenant, "param_id": id}

    def rows() -> list[dict[str, Any]]:
        answer = httpx.get(url, params=asked, auth=(parts.username or "", parts.password or ""), timeout=20)
        if answer.status_code != 200:
            raise Unfollowed(f"ClickHouse answers {answer.status_code}: {answer.text[:300]}")
        return list(answer.json()["data"])

    found = _awaited(rows, f"{id} has no rows in ClickHouse after {SECONDS:.0f} s")
    return str(found[0]["status"]), str(found[0]["cost"])


def _awaited(look: Callable[[], list[dict[str, Any]]], otherwise: str) -> list[dict[str, Any]]:
    deadline = time.monotonic() + SECONDS
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise Unfollowed(otherwise)
        time.sleep(0.2)
