"""How objects stand, for the audit log: fields that are chosen one by one, none of which is a secret. Pure."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from domain.accounts.model import ApiKey, Plan, Tenant
from domain.budgets.model import Budget
from domain.exports.job import Job, Order
from domain.exports.schedule import Schedule
from domain.schemas.model import SchemaName
from domain.sinks.model import Orders, place_text
from domain.sources.stored import Stored
from domain.sources.stored import shown as without_secrets
from domain.trail.safe import mark
from domain.webhooks.model import Endpoint
from topics.base import format_money, format_time

_LIMITS = ("requests_per_minute", "burst", "tokens_per_minute", "token_burst", "concurrency")
_OF_TENANT = ("active", "plan", *_LIMITS, "store_answers", "cache_ttl_s")


def tenant(one: Tenant) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _OF_TENANT}


def plan(one: Plan) -> dict[str, Any]:
    return asdict(one.allowance)


def key(one: ApiKey) -> dict[str, Any]:
    return {"name": one.name, "scopes": one.scopes, **asdict(one.allowance), "revoked_at": _time(one.revoked_at)}


def budget(one: Budget) -> dict[str, Any]:
    only = {"api_key_id": one.api_key_id, "template": one.template, "model": one.model}
    return {"limit_usd": format_money(one.limit_usd), "period": one.period, **only}


def endpoint(one: Endpoint) -> dict[str, Any]:
    """`signed_by` and `opened_by` differ where its secrets do."""
    bucket = one.bucket
    return {
        "kind": one.kind,
        "url": one.url,
        "bucket": None
        if bucket is None
        else {"name": bucket.name, "region": bucket.region, "endpoint": bucket.endpoint, "prefix": bucket.prefix,
              "every_seconds": bucket.every_s},
        "events": one.events,
        "fields": one.fields,
        "redact": one.redact,
        "description": one.description,
        "enabled": one.enabled,
        "paused": one.paused,
        "signed_by": mark(one.salt),
        "opened_by": mark(one.sealed),
    }  # fmt: skip


def job(one: Job) -> dict[str, Any]:
    span = {"since": format_time(one.order.since), "until": format_time(one.order.until)}
    return {"status": one.state, **_order(one.order), **span}


def schedule(one: Schedule) -> dict[str, Any]:
    return {"cron": one.cron, "time_zone": one.zone, **_order(one.order), "paused_at": _time(one.paused_at)}


def orders(one: Orders) -> dict[str, Any]:
    rewind = one.rewind
    offsets = {} if rewind is None else {place_text(place): offset for place, offset in sorted(rewind.offsets.items())}
    replay = None if rewind is None else {"number": rewind.number, "since": _time(rewind.since), "offsets": offsets}
    return {"paused_at": _time(one.paused_at), "replay": replay}


def source(one: Stored) -> dict[str, Any]:
    """`opened_by` differs where its secrets do."""
    return {**without_secrets(one.fields), "opened_by": mark(one.sealed)}


def schema(one: SchemaName) -> dict[str, Any]:
    return {"compatibility": one.compatibility, "latest_version": one.latest}


def _order(order: Order) -> dict[str, Any]:
    fields = None if order.fields is None else list(order.fields)
    return {"format": order.format, "fields": fields, "template": order.template, "only_status": order.status}


def _time(at: datetime | None) -> str | None:
    return None if at is None else format_time(at)
