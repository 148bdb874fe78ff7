"""What `explain` does."""

import asyncio
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import orjson

from cli._output import print_json, print_table
from cli._stack import Stack
from cli._target import Target, find
from connectors.postgres.jobs import PostgresJobs
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import connect
from domain.errors import Conflict
from domain.jobs.model import JobView
from domain.ledger.model import Attempt, RequestRecord
from topics.base import format_money

_HIDDEN = ("result", "attempts", "source")
_SHOWN = ("attempt", "provider", "model", "outcome", "in", "out", "cost_usd", "ms")


def explain(stack: Stack, id: str, tenant: str | None, as_json: bool) -> None:
    """See cli.data.explain. Raises Conflict when nobody knows the request."""
    target = find(stack)
    owner = target.tenant_or(tenant)
    record, job = asyncio.run(_find(target, owner, id))
    if record is not None:
        facts = _facts(record)
    elif job is not None:
        facts = {"tenant": owner, "id": id, "state": job.state, "created_at": job.created_at, "run": job.run}
    else:
        raise Conflict(
            f"no request {id!r} of {owner}: not yet read from Kafka, forgotten (ids are kept 10 days), or dead: "
            f"structured-prompt dead-letters show {id}"
        )
    if as_json:
        print_json({**facts, "attempts": [_as_json(a) for a in record.attempts] if record else []})
        return
    print_table(("", ""), [(name, value) for name, value in facts.items() if value is not None])
    if record and record.attempts:
        print_table(_SHOWN, [_cells(attempt) for attempt in record.attempts], title="attempts")


async def _find(target: Target, tenant: str, id: str) -> tuple[RequestRecord | None, JobView | None]:
    pool = await connect(target.settings.database_url.get_secret_value(), 1)
    try:
        record = await PostgresLedger(pool).find(tenant, id)
        views = [] if record else await PostgresJobs(pool).view(tenant, [id])
    finally:
        await pool.close()
    return record, views[0] if views else None


def _facts(record: RequestRecord) -> dict[str, Any]:
    facts = {name: value for name, value in asdict(record).items() if name not in _HIDDEN}
    source = record.source
    facts["source"] = f"{source.topic}/{source.partition}/{source.offset}"
    facts["repeated"] = record.repeated
    if record.reason is not None:
        facts["waits_for"], facts["waits_until"] = facts.pop("reason"), facts.pop("not_before")
    known = [attempt.cost_usd for attempt in record.attempts if attempt.cost_usd is not None]
    facts["cost_usd"] = format_money(sum(known, Decimal(0))) if known else None
    if record.result is not None:
        result = orjson.loads(record.result)
        output = result["output"]
        facts["output"] = output if output is None or isinstance(output, str) else orjson.dumps(output).decode()
        facts["error"] = (result["error"] or {}).get("message")
    return facts


def _cells(attempt: Attempt) -> tuple[object, ...]:
    took = attempt.finished_at - attempt.started_at if attempt.finished_at else None
    return (
        attempt.attempt,
        attempt.provider,
        attempt.model,
        f"{attempt.outcome}, repaired" if _repaired(attempt) else attempt.outcome,
        attempt.input_tokens,
        attempt.output_tokens,
        None if attempt.cost_usd is None else format_money(attempt.cost_usd),
        None if took is None else round(took.total_seconds() * 1000),
    )


def _as_json(attempt: Attempt) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(attempt).items() if name != "record"}
    return {**fields, "repaired": _repaired(attempt)}


def _repaired(attempt: Attempt) -> bool:
    """Whether the punctuation of its answer was put right."""
    return attempt.record is not None and orjson.loads(attempt.record).get("repaired", False)
