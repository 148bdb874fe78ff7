"""Endpoints of one tenant, and the log of what was sent to them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson
import uuid_utils

from api.bodies import read
from api.paging import decode_cursor, encode_cursor
from api.problems import Problem
from api.webhook_schemas import NewWebhook, WebhookChange
from api.webhooks import view
from api.within import LEDGER, PATIENCE_S, within
from domain.errors import ForbiddenAddress
from domain.errors import Problem as Reason
from domain.outgoing.addresses import Network
from domain.outgoing.urls import check
from domain.ports import Deliveries, Endpoints
from domain.webhooks import payload, signing
from domain.webhooks.kinds import Kind
from domain.webhooks.model import CALLBACK, Change, Endpoint
from domain.webhooks.view import shown

MOST_ENDPOINTS = 100
T = TypeVar("T")


class EndpointKeeper:
    """What every keeper of places that results go to works with. `allow`: networks that may be reached besides."""

    def __init__(
        self,
        endpoints: Endpoints,
        deliveries: Deliveries,
        pepper: bytes,
        allow: Sequence[Network],
        now: Callable[[], datetime],
    ) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._pepper = pepper
        self._allow = allow
        self._now = now


class WebhookKeeper(EndpointKeeper):
    """Raises Problem: invalid_request, not_found, unavailable when PostgreSQL does not answer.

    `_place` is where the routes are, `_kind` that of the endpoints which are there; None is any.
    """

    _place = "/v1/webhooks"
    _kind: Kind | None = "webhook"
    _what = "webhook"

    async def create(self, tenant: str, body: bytes) -> bytes:
        asked = read(NewWebhook, body)
        self._check(asked.url)
        if len(await soon(self._endpoints.page(tenant, MOST_ENDPOINTS, None))) == MOST_ENDPOINTS:
            raise Problem("invalid_request", f"a tenant has at most {MOST_ENDPOINTS} webhooks; delete one first")
        made = Endpoint(
            tenant, f"wh_{uuid_utils.uuid7().hex}", asked.url, tuple(dict.fromkeys(asked.events)), signing.new_salt(),
            self._now(), tuple(asked.result_fields) if asked.result_fields else None, asked.description,
        )  # fmt: skip
        await soon(self._endpoints.add(made))
        return self._with_secret(made)

    async def page(self, tenant: str, limit: int, cursor: str | None) -> bytes:
        before = decode_cursor(cursor) if cursor else None
        found = await soon(self._endpoints.page(tenant, limit + 1, before, self._kind))
        return _page([shown(one) for one in found], [(one.created_at, one.id) for one in found], limit)

    async def one(self, tenant: str, id: str) -> bytes:
        return orjson.dumps(shown(await self._get(tenant, id)))

    async def change(self, tenant: str, id: str, body: bytes) -> bytes:
        asked = read(WebhookChange, body)
        await self._get(tenant, id)
        if asked.url is not None:
            self._check(asked.url)
        fields = tuple(asked.result_fields or ()) if "result_fields" in asked.model_fields_set else None
        events = None if asked.events is None else tuple(dict.fromkeys(asked.events))
        change = Change(asked.url, events, fields, asked.description, asked.enabled)
        return orjson.dumps(shown(self._there(await soon(self._endpoints.change(tenant, id, change)), id)))

    async def delete(self, tenant: str, id: str) -> None:
        await self._get(tenant, id)
        await soon(self._endpoints.delete(tenant, id))

    async def rotate(self, tenant: str, id: str) -> bytes:
        await self._get(tenant, id)
        until = self._now() + signing.OLD_SECRET
        rotated = await soon(self._endpoints.rotate(tenant, id, signing.new_salt(), until))
        return self._with_secret(self._there(rotated, id))

    async def test(self, tenant: str, id: str) -> bytes:
        target = await self._get(tenant, id)
        if not target.enabled:
            reason = f" ({target.disabled})" if target.disabled else ""
            detail = f"{_named(target, self._what)} is disabled{reason}; PATCH {self._place}/{id} with enabled: true"
            raise Problem("invalid_request", detail)
        message = payload.test_event(target, uuid_utils.uuid7().hex, self._now())
        await soon(self._deliveries.put([message], self._now()))
        if target.bucket is not None:  # not with the others of its next object
            await soon(self._deliveries.again(tenant, id, message.id, self._now()))
        return orjson.dumps({"delivery_id": message.id, "links": self._links(id, message.id)})

    async def log(self, tenant: str, id: str, limit: int, cursor: str | None) -> bytes:
        """`id` may be `callback:HOST` as well, as in `retry`: what was sent to requests' `callback_url` there."""
        await self._log_of(tenant, id)
        before = decode_cursor(cursor) if cursor else None
        found = await soon(self._deliveries.page(tenant, id, limit + 1, before))
        shown = [view.delivery(one, self._links(id, one.id)) for one in found]
        return _page(shown, [(one.created_at, one.id) for one in found], limit)

    async def delivery(self, tenant: str, id: str, name: str) -> bytes:
        found = await soon(self._deliveries.get(tenant, id, name))
        if found is None:
            raise self._missing_delivery(id, name)
        return orjson.dumps(view.delivery(found, self._links(id, name)))

    async def retry(self, tenant: str, id: str, name: str) -> bytes:
        await self._log_of(tenant, id)
        if not await soon(self._deliveries.again(tenant, id, name, self._now())):
            raise self._missing_delivery(id, name)
        return orjson.dumps({"delivery_id": name, "links": self._links(id, name)})

    def callback_secret(self, tenant: str) -> bytes:
        key = signing.secret_key(self._pepper, tenant, signing.CALLBACKS, b"")
        return orjson.dumps({"secret": signing.shown(key)})

    async def _get(self, tenant: str, id: str) -> Endpoint:
        found = self._there(await soon(self._endpoints.get(tenant, id)), id)
        return self._there(found if self._kind in (None, found.kind) else None, id)

    def _there(self, found: Endpoint | None, id: str) -> Endpoint:
        if found is None:
            raise _missing(self._what, id, self._place)
        return found

    def _missing_delivery(self, id: str, name: str) -> Problem:
        return _missing("delivery", name, f"{self._place}/{id}/deliveries")

    def _links(self, id: str, delivery: str) -> Mapping[str, str]:
        return view.links(f"{self._place}/{id}", delivery)

    async def _log_of(self, tenant: str, id: str) -> None:
        if not id.startswith(CALLBACK):
            await self._get(tenant, id)

    def _with_secret(self, one: Endpoint) -> bytes:
        key = signing.secret_key(self._pepper, one.tenant, one.id, one.salt)
        return orjson.dumps({**shown(one), "secret": signing.shown(key)})

    def _check(self, url: str) -> None:
        try:
            check(url, self._allow)
        except ForbiddenAddress as error:
            raise Problem("invalid_request", f"/url: {error}", (Reason("/url", str(error)),)) from None


async def soon(answer: Awaitable[T]) -> T:
    """Raises Problem (unavailable)."""
    return await within(answer, PATIENCE_S, LEDGER)


def _missing(what: str, id: str, place: str) -> Problem:
    return Problem("not_found", f"there is no {what} {id[:64]!r}; GET {place} lists them")


def _named(one: Endpoint, what: str) -> str:
    """What it is, to whoever has only its id; an address as far as its host."""
    where = one.url if one.bucket is not None else urlsplit(one.url).hostname
    return f"the {what} {one.id} ({one.kind}, {where})"


def _page(items: list[Mapping[str, Any]], places: list[tuple[datetime, str]], limit: int) -> bytes:
    more = encode_cursor(*places[limit - 1]) if len(places) > limit else None
    return orjson.dumps({"items": items[:limit], "next_cursor": more})
