"""How a request's end becomes bytes: PromptResult, UsageRecord, LifecycleEvent. Pure; the bytes are stored as they are.

Built as dicts, not as models: this runs once or more an event, and the contract tests validate what comes out.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from domain.errors import Problem
from domain.ledger.model import Attempt, AttemptDone, State
from domain.routing.model import Deployment, Price, Tokens
from topics.base import format_money, format_time, parse_time
from topics.call import PromptCall
from topics.codec import encode
from topics.result import RETRYABLE_CODES

MAX_RESULT_BYTES = 1_400 * 1024
"""What fits on prompt.results with its headers (rule L13)."""


_NONE = Tokens()


@dataclass(frozen=True, slots=True)
class Spent:
    """What the attempts of a run have used so far. `first_call` is when the first of them was sent."""

    tokens: Tokens = _NONE
    cost_usd: Decimal = Decimal(0)
    attempts: int = 0
    provider_ms: int = 0
    first_call: datetime | None = None

    def plus(self, tokens: Tokens, cost_usd: Decimal, latency_ms: int, at: datetime) -> "Spent":
        mine = self.tokens
        total = Tokens(
            mine.input + tokens.input,
            mine.output + tokens.output,
            mine.cached_input + tokens.cached_input,
            mine.reasoning + tokens.reasoning,
        )
        return Spent(
            total,
            self.cost_usd + cost_usd,
            self.attempts + 1,
            self.provider_ms + latency_ms,
            at if self.first_call is None else min(self.first_call, at),
        )

    def with_called(self, called: "Called") -> "Spent":
        return self.plus(called.tokens, called.cost_usd, called.latency_ms, called.sent_at)


NOTHING = Spent()
"""Before the first attempt."""
UNHEARD = frozenset({"started", "unknown", "timeout"})
"""Outcomes of attempts that may have been billed although nobody heard of it."""


@dataclass(slots=True)
class Ending:
    """How a run ends. `code` is None only when it completed.

    Of an answer that was not called for: `age_s` is how old it is, `saved_usd` what it cost when it was.
    """

    state: State
    output: Any = None
    code: str | None = None
    message: str = ""
    problems: Sequence[Problem] = ()
    cached: str | None = None
    provider: str | None = None
    model: str | None = None
    age_s: float = 0.0
    saved_usd: str = "0"


def failed(code: str, message: str, problems: Sequence[Problem] = ()) -> Ending:
    """An ending after at least one call."""
    return Ending(State.FAILED, code=code, message=message, problems=problems)


def rejected(code: str, message: str, problems: Sequence[Problem] = ()) -> Ending:
    """An ending without a call."""
    return Ending(State.REJECTED, code=code, message=message, problems=problems)


def cancelled(attempts: int) -> Ending:
    """How a run ends that somebody wanted to end, after so many calls."""
    end = failed if attempts else rejected
    return end("cancelled", "cancelled on request")


def overdue(attempts: int, when: str) -> Ending:
    """How a run ends whose deadline passed `when`, after so many calls."""
    end = failed if attempts else rejected
    return end("deadline_exceeded", f"the deadline passed {when}")


def finish(call: PromptCall, run: int, ending: Ending, spent: Spent, now: datetime) -> tuple[Ending, bytes]:
    """How the run really ends, and its PromptResult, encoded: too large a one is `result_too_large` (rule L13)."""
    value = encode(_result(call, run, ending, spent, now))
    if len(value) <= MAX_RESULT_BYTES:
        return ending, value
    reason = f"the answer makes a result of {len(value)} bytes; {MAX_RESULT_BYTES} fit"
    shorter = replace(ending, state=State.FAILED, output=None, code="result_too_large", message=reason, problems=())
    return shorter, encode(_result(replace(call, metadata={}), run, shorter, spent, now))


def _result(call: PromptCall, run: int, ending: Ending, spent: Spent, now: datetime) -> dict[str, Any]:
    submitted = parse_time(call.submitted_at)
    known = {"cache": {"age_s": round(ending.age_s, 3), "saved_usd": ending.saved_usd}} if ending.cached else {}
    return {
        "id": call.id,
        "tenant": call.tenant,
        "run": run,
        "status": ending.state.value,
        "output": ending.output,
        "error": _error(ending, spent) if ending.code else None,
        "model": ending.model,
        "provider": ending.provider,
        "cached": ending.cached,
        **known,
        "usage": {
            "input_tokens": spent.tokens.input,
            "output_tokens": spent.tokens.output,
            "cached_input_tokens": spent.tokens.cached_input,
            "reasoning_tokens": spent.tokens.reasoning,
            "cost_usd": format_money(spent.cost_usd),
            "attempts": spent.attempts,
        },
        "timings": {
            "queued_ms": _ms(submitted, spent.first_call or now),
            "provider_ms": spent.provider_ms,
            "total_ms": _ms(submitted, now),
        },
        "template": call.template,
        "output_schema": call.schema_ref,
        "request_hash": call.request_hash,
        "api_key_id": call.api_key_id,
        "batch_id": call.batch_id,
        "subject": call.subject,
        "tags": call.tags,
        "metadata": call.metadata,
        "submitted_at": call.submitted_at,
        "completed_at": format_time(now),
    }


def _error(ending: Ending, spent: Spent) -> dict[str, Any]:
    return {
        "code": ending.code,
        "message": ending.message,
        "retryable": ending.code in RETRYABLE_CODES,
        "attempts": spent.attempts,
        "errors": [{"path": problem.path, "message": problem.message} for problem in ending.problems],
    }


def _ms(start: datetime, end: datetime) -> int:
    # the client's clock may be ahead of ours
    return max(0, round((end - start).total_seconds() * 1000))


@dataclass(slots=True)
class Called:
    """One attempt as it went. outcome: ok | invalid_output | refused | length | rate_limited | timeout | error.

    repaired: the punctuation of the answer was put right.
    frees: money was reserved for it, and what it cost is known.
    """

    attempt: int
    deployment: Deployment
    outcome: str
    tokens: Tokens
    cost_usd: Decimal
    latency_ms: int
    sent_at: datetime
    provider_request_id: str | None = None
    repaired: bool = False
    frees: bool = False


def attempt_done(call: PromptCall, run: int, called: Called) -> AttemptDone:
    """The attempt's row and, within it, the UsageRecord that is produced from it."""
    record = encode(_usage(call, run, called))
    return AttemptDone(
        called.attempt, called.outcome, called.cost_usd, called.tokens.input, called.tokens.output, record, called.frees
    )


def unheard(call: PromptCall, run: int, attempts: Sequence[Attempt], current: int) -> tuple[bytes, ...]:
    """UsageRecords of attempts before number `current` that nobody heard the outcome of: sent, perhaps billed."""
    lost = (a for a in attempts if a.attempt < current and a.record is None)
    return tuple(encode(_usage(call, run, _lost(attempt))) for attempt in lost)


def _lost(attempt: Attempt) -> Called:
    price = Price("unknown", Decimal(0), Decimal(0))
    provider, model = attempt.provider or "unknown", attempt.model or "unknown"
    deployment = Deployment(f"{provider}/{model}", provider, model, "openai", "", price)
    return Called(attempt.attempt, deployment, "unknown", Tokens(), Decimal(0), 0, attempt.started_at)


def _usage(call: PromptCall, run: int, called: Called) -> dict[str, Any]:
    record = {
        "id": call.id,
        "tenant": call.tenant,
        "run": run,
        "attempt": called.attempt,
        "api_key_id": call.api_key_id,
        "provider": called.deployment.provider,
        "model": called.deployment.model,
        "template": call.template,
        "tags": call.tags,
        "outcome": called.outcome,
        "input_tokens": called.tokens.input,
        "output_tokens": called.tokens.output,
        "cached_input_tokens": called.tokens.cached_input,
        "reasoning_tokens": called.tokens.reasoning,
        "cost_usd": format_money(called.cost_usd),
        "price_version": called.deployment.price_at(called.sent_at).version,
        "latency_ms": called.latency_ms,
        "provider_request_id": called.provider_request_id,
        "at": format_time(called.sent_at),
    }
    if called.repaired:
        record["repaired"] = True
    return record


def spent_before(attempts: Sequence[Attempt], current: int) -> Spent:
    """What the attempts before number `current` used, from their stored records."""
    spent = Spent()
    for attempt in attempts:
        if attempt.attempt >= current:
            continue
        if attempt.record is None:
            spent = spent.plus(Tokens(), Decimal(0), 0, attempt.started_at)
            continue
        record = orjson.loads(attempt.record)
        tokens = Tokens(
            record["input_tokens"], record["output_tokens"], record["cached_input_tokens"], record["reasoning_tokens"]
        )
        spent = spent.plus(tokens, Decimal(record["cost_usd"]), record["latency_ms"], attempt.started_at)
    return spent


def event_bytes(kind: str, call: PromptCall, run: int, now: datetime, data: dict[str, Any]) -> bytes:
    """A LifecycleEvent; its id follows from what it tells of, so that a repeat is recognised (rule S7)."""
    what = f"{kind}/{call.tenant}/{call.id}/{run}/{data.get('epoch', 0)}"
    event = {
        "event_id": hashlib.sha256(what.encode()).hexdigest()[:32],
        "type": kind,
        "tenant": call.tenant,
        "id": call.id,
        "run": run,
        "at": format_time(now),
        "data": data,
    }
    return encode(event)


def call_id(tenant: str, id: str, run: int) -> str:
    """Our internal id of a request and its run, sent to providers as X-Client-Request-Id; never the client's own."""
    return hashlib.sha256(f"{tenant}/{id}/{run}".encode()).hexdigest()[:32]
