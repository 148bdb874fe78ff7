"""A result or a lifecycle event -> the deliveries that follow from it. Pure.

Nothing is parsed of a record whose tenant has no endpoint: the tenant is found in its first bytes.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import orjson

from domain.webhooks.model import CALLBACK, TEST, Endpoint, Message, Subscriptions
from topics.base import format_time, parse_time

_TENANT = re.compile(rb'"tenant":"([A-Za-z0-9._-]{1,64})"')
_HEAD_BYTES = 512
_ALWAYS = ("id", "tenant", "run", "status")
"""Fields of a result that every delivery holds: without them nobody knows what it is about."""


class Unfit(ValueError):
    """A record that is no message of ours; the text says why."""


def tenant_of(value: bytes) -> str | None:
    """As our own encoding writes it, near the start; None where only parsing can tell."""
    found = _TENANT.search(value, 0, _HEAD_BYTES)
    return found[1].decode() if found else None


def of_result(value: bytes, endpoints: Sequence[Endpoint], callback: str | None) -> Iterator[Message]:
    """The deliveries of a PromptResult, one at a time: together they may be large. Raises Unfit."""
    result = _read(value)
    try:
        at, what = parse_time(result["completed_at"]), f"{result['tenant']}/{result['id']}/{result['run']}"
        if result["run"] == 0:  # a conflict: of each other body one
            what += f"/{result['request_hash']}"
        yield from _messages(result, what, at, list(_kinds(result)), endpoints, callback)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unfit(f"is no result: {error!r}") from None


def of_event(value: bytes, endpoints: Sequence[Endpoint]) -> list[Message]:
    """The deliveries of a LifecycleEvent. Raises Unfit."""
    event = _read(value)
    try:
        kind, tenant, at, what = event["type"], event["tenant"], parse_time(event["at"]), event["event_id"]
        body = _body(kind, at, _event_data(event))
    except (KeyError, TypeError, ValueError) as error:
        raise Unfit(f"is no event: {error!r}") from None
    return [Message(tenant, one.id, message_id(tenant, one.id, what), kind, at, body)
            for one in endpoints if one.wants(kind)]  # fmt: skip


def test_event(endpoint: Endpoint, nonce: str, at: datetime) -> Message:
    """What POST …/test sends, whatever the endpoint subscribes to."""
    data = {"endpoint": endpoint.id, "message": "a test: nothing has happened"}
    id = message_id(endpoint.tenant, endpoint.id, nonce)
    return Message(endpoint.tenant, endpoint.id, id, TEST, at, _body(TEST, at, data))


def subscribers(subscriptions: Subscriptions, value: bytes) -> Sequence[Endpoint]:
    """The enabled endpoints of the record's tenant. Raises Unfit."""
    if not subscriptions.endpoints:
        return ()
    tenant = tenant_of(value)
    if tenant is None:
        tenant = _read(value).get("tenant")
    return subscriptions.endpoints.get(cast(str, tenant), ())


def message_id(tenant: str, endpoint: str, what: str) -> str:
    """`webhook-id`: the same for each attempt, and when a record is read again."""
    return "msg_" + hashlib.sha256(f"{tenant}\0{endpoint}\0{what}".encode()).hexdigest()[:32]


def origin(url: str) -> str:
    """Scheme, host and port as written: what deliveries to callbacks are told apart by."""
    return url.split("?", 1)[0].split("#", 1)[0].lower().partition("://")[2].partition("/")[0][:200]


def _kinds(result: Mapping[str, Any]) -> Iterator[str]:
    yield f"request.{result['status']}"
    if result["cached"] is not None:
        yield "cache.hit"
    elif result["usage"]["attempts"]:
        yield "cache.miss"


def _messages(
    result: Mapping[str, Any],
    what: str,
    at: datetime,
    kinds: Sequence[str],
    endpoints: Sequence[Endpoint],
    callback: str | None,
) -> Iterator[Message]:
    tenant = result["tenant"]
    for one in endpoints:
        for kind in kinds:
            if one.wants(kind):
                id = message_id(tenant, one.id, f"{what}/{kind}")
                yield Message(tenant, one.id, id, kind, at, _body(kind, at, _result_data(result, one.fields)))
    if callback is not None:
        lane, kind = CALLBACK + origin(callback), kinds[0]
        id = message_id(tenant, lane, f"{what}/{callback}")
        yield Message(tenant, lane, id, kind, at, _body(kind, at, result), callback)


def _result_data(result: Mapping[str, Any], fields: Sequence[str] | None) -> Mapping[str, Any]:
    if fields is None:
        return result
    return {name: value for name, value in result.items() if name in _ALWAYS or name in fields}


def _event_data(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event's data, and which request it is about: the body has no other place for that."""
    about = {name: event[name] for name in ("id", "run") if event.get(name) is not None}
    return {**about, **event.get("data", {})}


def _body(kind: str, at: datetime, data: Any) -> bytes:
    return orjson.dumps({"type": kind, "timestamp": format_time(at), "data": data})


def _read(value: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Unfit(f"is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Unfit("is not an object")
    return found
