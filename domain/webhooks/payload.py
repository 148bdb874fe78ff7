"""A result or a lifecycle event -> the deliveries that follow from it. Pure.

Nothing is parsed of a record whose tenant has no endpoint: the tenant is found in its first bytes.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import orjson

from domain.safety.withholding import Withheld
from domain.webhooks.flat import flat
from domain.webhooks.kinds import FLAT
from domain.webhooks.model import CALLBACK, TEST, Endpoint, Message, Subscriptions
from topics.base import format_time, parse_time
from topics.records import EVERYBODY

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
        kind, at, what = event["type"], parse_time(event["at"]), event["event_id"]
        return [_message(one, what, kind, at, _event_data(event, one)) for one in endpoints if one.wants(kind)]
    except (KeyError, TypeError, ValueError) as error:
        raise Unfit(f"is no event: {error!r}") from None


def test_event(endpoint: Endpoint, nonce: str, at: datetime) -> Message:
    """What POST …/test sends, whatever the endpoint subscribes to."""
    data = {"endpoint": endpoint.id, "message": "a test: nothing has happened"}
    return _message(endpoint, nonce, TEST, at, data)


def subscribers(subscriptions: Subscriptions, value: bytes) -> Sequence[Endpoint]:
    """The enabled endpoints of the record's tenant; of all tenants where it concerns everybody. Raises Unfit."""
    if not subscriptions.endpoints:
        return ()
    tenant = tenant_of(value)
    if tenant is None:
        tenant = _read(value).get("tenant")
    if tenant == EVERYBODY:
        return [one for endpoints in subscriptions.endpoints.values() for one in endpoints]
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
                yield _message(one, f"{what}/{kind}", kind, at, _result_data(result, one))
    if callback is not None:
        lane, kind = CALLBACK + origin(callback), kinds[0]
        id = message_id(tenant, lane, f"{what}/{callback}")
        yield Message(tenant, lane, id, kind, at, _body(kind, at, result), callback)


def _message(to: Endpoint, what: str, kind: str, at: datetime, data: Mapping[str, Any]) -> Message:
    id = message_id(to.tenant, to.id, what)
    body = orjson.dumps(flat(kind, id, format_time(at), data)) if to.kind in FLAT else _body(kind, at, data)
    return Message(to.tenant, to.id, id, kind, at, body)


def _result_data(result: Mapping[str, Any], to: Endpoint) -> Mapping[str, Any]:
    if to.fields is not None:
        result = {name: value for name, value in result.items() if name in _ALWAYS or name in to.fields}
    return Withheld(kinds=to.redact).rest(result) if to.redact else result


def _event_data(event: Mapping[str, Any], to: Endpoint) -> dict[str, Any]:
    """The event's data, and which request it is about: the body has no other place for that."""
    about = {name: event[name] for name in ("id", "run") if event.get(name) is not None}
    rest = Withheld(kinds=to.redact).rest(event) if to.redact else event
    return {**about, **rest.get("data", {})}


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
