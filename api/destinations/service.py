"""Destinations of one tenant, whatever their kind: webhooks, hooks of Zapier and Make, buckets."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property

import orjson
import uuid_utils

from api.bodies import read
from api.destination_schemas import BucketPlace, DestinationChange, Hook, NewDestination, Redelivery
from api.paging import decode_cursor, encode_cursor
from api.problems import Problem
from api.usage.service import since_of
from api.webhooks.service import MOST_ENDPOINTS, EndpointKeeper, WebhookKeeper, soon
from domain.errors import ForbiddenAddress
from domain.errors import Problem as Reason
from domain.outgoing.urls import check
from domain.webhooks import sealing, signing
from domain.webhooks.kinds import Bucket, Kind
from domain.webhooks.model import TYPES, Change, Endpoint, Queued
from domain.webhooks.sample import sample
from domain.webhooks.view import destination

EVER = datetime(1970, 1, 1, tzinfo=UTC)
COUNTED, COUNTED_IN_LISTS = 100_000, 1_000
_PREFIXES: Mapping[Kind, str] = {"webhook": "wh", "zapier": "zap", "make": "make", "s3": "s3"}


class DestinationLog(WebhookKeeper):
    """What was sent to any of them."""

    _place = "/v1/destinations"
    _kind = None
    _what = "destination"


class DestinationKeeper(EndpointKeeper):
    """Raises Problem: invalid_request, not_found, unavailable when PostgreSQL does not answer."""

    @cached_property
    def log(self) -> DestinationLog:
        return DestinationLog(self._endpoints, self._deliveries, self._pepper, self._allow, self._now)

    async def create(self, tenant: str, body: bytes) -> bytes:
        asked = read(NewDestination, body)
        if (asked.kind == "s3") != (asked.bucket is not None) or (asked.kind == "s3") == (asked.url is not None):
            raise _wrong("/kind", "s3 is made with a bucket and no url, every other kind with a url and no bucket")
        made = await self._add(tenant, asked)
        shown = dict(destination(made, Queued()))
        if made.kind == "webhook":
            key = signing.secret_key(self._pepper, tenant, made.id, made.salt)
            shown["secret"] = signing.shown(key)
        return orjson.dumps(shown)

    async def subscribe(self, tenant: str, body: bytes) -> bytes:
        """A REST hook: 201 with an id that unsubscribes."""
        asked = read(Hook, body)
        made = await self._add(tenant, NewDestination(kind=asked.kind, url=asked.url, events=[asked.event]))
        return orjson.dumps({"id": made.id, "url": made.url, "event": asked.event, "kind": made.kind})

    def sample(self, event: str) -> bytes:
        """What Zapier's and Make's editors show fields by: a list of one."""
        if event not in TYPES:
            raise _wrong("/event", f"is no type of event; they are: {', '.join(TYPES)}")
        return orjson.dumps([sample(event, self._now())])

    async def page(self, tenant: str, limit: int, cursor: str | None) -> bytes:
        found = await soon(self._endpoints.page(tenant, limit + 1, decode_cursor(cursor) if cursor else None))
        shown = found[:limit]
        queued = await soon(self._deliveries.queued(tenant, [one.id for one in shown], COUNTED_IN_LISTS))
        more = encode_cursor(shown[-1].created_at, shown[-1].id) if len(found) > limit else None
        items = [destination(one, queued.get(one.id, Queued())) for one in shown]
        return orjson.dumps({"items": items, "next_cursor": more})

    async def one(self, tenant: str, id: str) -> bytes:
        return await self._shown(await self._get(tenant, id))

    async def change(self, tenant: str, id: str, body: bytes) -> bytes:
        asked, known = read(DestinationChange, body), await self._get(tenant, id)
        if (asked.url is not None and known.bucket) or (asked.bucket is not None and not known.bucket):
            raise _wrong("", f"a destination of kind {known.kind} stays one; make another")
        bucket = None if asked.bucket is None else self._bucket(asked.bucket)
        self._check("/url", asked.url)
        url = asked.url if bucket is None else bucket.url
        fields = tuple(asked.result_fields or ()) if "result_fields" in asked.model_fields_set else None
        events = None if asked.events is None else tuple(dict.fromkeys(asked.events))
        sealed = self._sealed(tenant, id, asked.bucket)
        redact = None if asked.redact is None else tuple(asked.redact)
        change = Change(url, events, fields, asked.description, asked.enabled, bucket, sealed, redact=redact)
        return await self._changed(tenant, id, change)

    async def pause(self, tenant: str, id: str, paused: bool) -> bytes:
        return await self._changed(tenant, id, Change(paused=paused))

    async def delete(self, tenant: str, id: str) -> None:
        if not await soon(self._endpoints.delete(tenant, id)):
            raise _missing(id)

    async def redeliver(self, tenant: str, id: str, body: bytes) -> bytes:
        asked = read(Redelivery, body).since
        since = EVER if asked is None else since_of(asked, self._now(), "/since")
        await self._get(tenant, id)
        queued, more = await soon(self._deliveries.again_all(tenant, id, since, self._now()))
        return orjson.dumps({"queued": queued, "more": more})

    async def _add(self, tenant: str, asked: NewDestination) -> Endpoint:
        bucket = None if asked.bucket is None else self._bucket(asked.bucket)
        self._check("/url", asked.url)
        if asked.bucket is not None and asked.bucket.secret_access_key is None:
            raise _wrong("/bucket/secret_access_key", "is needed")
        if len(await soon(self._endpoints.page(tenant, MOST_ENDPOINTS, None))) == MOST_ENDPOINTS:
            raise Problem("invalid_request", f"a tenant has at most {MOST_ENDPOINTS} destinations; delete one first")
        id = f"{_PREFIXES[asked.kind]}_{uuid_utils.uuid7().hex}"
        made = Endpoint(
            tenant, id, bucket.url if bucket else asked.url or "", tuple(dict.fromkeys(asked.events)),
            signing.new_salt(), self._now(), tuple(asked.result_fields) if asked.result_fields else None,
            asked.description, kind=asked.kind, bucket=bucket, sealed=self._sealed(tenant, id, asked.bucket) or b"",
            redact=tuple(asked.redact),
        )  # fmt: skip
        await soon(self._endpoints.add(made))
        return made

    def _bucket(self, asked: BucketPlace) -> Bucket:
        self._check("/bucket/endpoint", asked.endpoint)
        return Bucket(
            asked.name, asked.region, asked.access_key_id, asked.endpoint, asked.prefix.strip("/"), asked.every_seconds
        )

    def _sealed(self, tenant: str, id: str, asked: BucketPlace | None) -> bytes | None:
        if asked is None or asked.secret_access_key is None:
            return None
        return sealing.seal(self._pepper, tenant, id, asked.secret_access_key.get_secret_value())

    async def _changed(self, tenant: str, id: str, change: Change) -> bytes:
        found = await soon(self._endpoints.change(tenant, id, change))
        if found is None:
            raise _missing(id)
        return await self._shown(found)

    async def _get(self, tenant: str, id: str) -> Endpoint:
        found = await soon(self._endpoints.get(tenant, id))
        if found is None:
            raise _missing(id)
        return found

    async def _shown(self, one: Endpoint) -> bytes:
        queued = await soon(self._deliveries.queued(one.tenant, [one.id], COUNTED))
        return orjson.dumps(destination(one, queued.get(one.id, Queued())))

    def _check(self, path: str, url: str | None) -> None:
        try:
            if url is not None:
                check(url, self._allow)
        except ForbiddenAddress as error:
            raise _wrong(path, str(error)) from None


def _wrong(path: str, message: str) -> Problem:
    return Problem("invalid_request", f"{path}: {message}" if path else message, (Reason(path, message),))


def _missing(id: str) -> Problem:
    return Problem("not_found", f"there is no destination {id[:64]!r}; GET /v1/destinations lists them")
