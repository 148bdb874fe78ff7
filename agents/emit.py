"""What leaves the stages: results, usage, events, calls and dead letters as records, and who is told of them."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from agents.line import Delivery
from agents.marks import Marks
from domain.budgets.model import Bill
from domain.errors import Problem, Unavailable
from domain.ledger.model import Finished, State, Woken
from domain.ledger.results import event_bytes
from domain.metrics import Metrics
from domain.ports import Ledger, Producer, Record, Replies, Reply
from topics import headers as head
from topics import table
from topics.base import format_time, parse_time
from topics.call import PromptCall
from topics.codec import encode

log = structlog.get_logger("emit")

FULL_VALUE = 1024 * 1024
FIRST_PART = 64 * 1024


@dataclass(slots=True)
class Emission:
    """A finished run: its stored bytes, the records of its attempts, and lifecycle events that belong to it."""

    call: PromptCall
    run: int
    result: bytes
    completed_at: str
    usage: Sequence[bytes] = ()
    events: Sequence[bytes] = ()
    letters: Sequence[Record] = ()
    settled: bool = True  # False for a result without a row: nothing to mark as emitted

    @classmethod
    def stored(cls, call: PromptCall, run: int, result: bytes, usage: Sequence[bytes]) -> "Emission":
        """Of a row somebody settled earlier: the same bytes again."""
        found = orjson.loads(result)
        code = found["error"]["code"] if found["error"] else None
        return cls(call, run, result, found["completed_at"], usage, end_events(call, run, code, found["completed_at"]))

    @classmethod
    def finished(cls, row: Finished) -> "Emission":
        """All that whoever settled it would have produced."""
        call = PromptCall.decode(row.call)
        emission = cls.stored(call, row.run, row.result, row.usage)
        emission.letters = letters_again(call, row.run, row.result)
        return emission


class Emitter:
    """Produces what a batch of finished runs says, tells who waits, and marks the rows as emitted (rule L15)."""

    def __init__(self, producer: Producer, replies: Replies, ledger: Ledger, metrics: Metrics) -> None:
        self._producer = producer
        self._replies = replies
        self._metrics = metrics
        self._marks = Marks(ledger)

    async def emit(self, batch: Sequence[Emission], more: Sequence[Record] = ()) -> list[None]:
        """Returns when everything is durable on its topics. Raises Unavailable."""
        records = [record for emission in batch for record in _records(emission)]
        await self._producer.send([*records, *more])
        await self.notify([_reply(e) for e in batch if e.call.reply_to])
        for emission in batch:
            if emission.settled:
                self._marks.add((emission.call.tenant, emission.call.id, emission.run))
        return [None] * len(batch)

    def has_emitted(self, tenant: str, id: str, run: int) -> bool:
        """Whether this process produced it a moment ago; the ledger may not know yet."""
        return (tenant, id, run) in self._marks

    async def close(self) -> None:
        """Mark what is not marked yet."""
        await self._marks.flush()

    async def notify(self, replies: Sequence[Reply]) -> None:
        """Wake those who wait. They look into the ledger themselves when this fails."""
        if not replies:
            return
        try:
            await self._replies.notify(replies)
        except Unavailable as error:
            self._metrics.count("replies_lost", len(replies))
            log.warning("replies_lost", count=len(replies), reason=str(error))


def _reply(emission: Emission) -> Reply:
    call = emission.call
    return Reply(call.reply_to or "", call.tenant, call.id, emission.result)


def _records(emission: Emission) -> list[Record]:
    call, run = emission.call, emission.run
    key = call.key.encode("latin-1") if call.key else call.id.encode()
    more = head.restored(call.headers) if call.headers else []
    if call.callback_url is not None:
        more.append((head.CALLBACK_URL, call.callback_url.encode()))
    result_headers = head.RESULT.headers(
        head.run_id(call.tenant, call.id, run), emission.completed_at, call.traceparent, more
    )
    records = [Record(table.RESULTS, emission.result, key, result_headers)]
    records += [usage_record(call, run, record) for record in emission.usage]
    records += [event_record(call, event, emission.completed_at) for event in emission.events]
    return [*records, *emission.letters]


def end_events(call: PromptCall, run: int, code: str | None, completed_at: str) -> list[bytes]:
    """The lifecycle events that follow from how a run ended alone."""
    if code != "cancelled":
        return []
    return [event_bytes("request.cancelled", call, run, parse_time(completed_at), {"code": code})]


def usage_record(call: PromptCall, run: int, record: bytes) -> Record:
    """A UsageRecord on its way. What its headers say comes out of the record, so that a repeat is the same bytes."""
    return _usage_record(call.tenant, call.id, run, record, call.traceparent)


def bill_record(bill: Bill) -> Record:
    """The UsageRecord of a call that was no attempt, on its way."""
    return _usage_record(bill.tenant, bill.id, bill.run, bill.record or b"{}", bill.traceparent or None)


def _usage_record(tenant: str, id: str, run: int, record: bytes, traceparent: str | None) -> Record:
    row = orjson.loads(record)
    usage_id = head.attempt_id(tenant, id, run, row["attempt"])
    return Record(table.USAGE, record, tenant.encode(), head.USAGE.headers(usage_id, row["at"], traceparent))


def event_record(call: PromptCall, event: bytes, at: str) -> Record:
    """A LifecycleEvent on its way; `ce_id` is a hash of it, so that a repeat is recognised."""
    event_id = hashlib.sha256(event).hexdigest()[:32]
    return Record(table.EVENTS, event, call.tenant.encode(), head.EVENT.headers(event_id, at, call.traceparent))


def buried_event(tenant: str, letter: Record, code: str, reason: str, now: datetime) -> Record:
    """error.occurred for a record that became a dead letter without ever being a request."""
    source = hashlib.sha256(letter.value or b"").hexdigest()[:32]
    event = {
        "event_id": source, "type": "error.occurred", "tenant": tenant, "id": None, "run": None, "at": now,
        "data": {"code": code, "reason": reason[:500]},
    }  # fmt: skip
    return Record(table.EVENTS, encode(event), tenant.encode(), head.EVENT.headers(source, format_time(now)))


def call_record(call: Woken, at: str) -> Record:
    """A PromptCall on its way to infer. Keyed by tenant and id, so that a request stays in one partition."""
    key = f"{call.tenant}/{call.id}"
    headers = head.call_headers(f"{key}/{call.run}", call.run, call.epoch, at)
    return Record(table.CALLS[call.lane], call.call, key.encode(), headers)  # type: ignore[index]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a record becomes a dead letter, and what could be read of it."""

    stage: str
    code: str
    text: str
    problems: Sequence[Problem] = ()
    tenant: str | None = None
    id: str | None = None
    run: int | None = None
    attempts: int = 0


def dead_letter(delivery: Delivery, reason: Reason, now: datetime) -> Record:
    """The record as it came, with the reason; above 1 MiB its first 64 KiB, its size and hash."""
    value = delivery.value or b""
    kept = value if len(value) <= FULL_VALUE else value[:FIRST_PART]
    letter = {
        "topic": delivery.topic,
        "partition": delivery.partition,
        "offset": delivery.offset,
        "timestamp": datetime.fromtimestamp(delivery.timestamp, UTC),
        "key": base64.b64encode(delivery.key).decode() if delivery.key is not None else None,
        "headers": [(name, base64.b64encode(text or b"").decode()) for name, text in delivery.headers],
        "value": base64.b64encode(kept).decode() if delivery.value is not None else None,
        "size": len(value),
        "sha256": hashlib.sha256(value).hexdigest(),
        "stage": reason.stage,
        "attempts": reason.attempts,
        "code": reason.code,
        "reason": reason.text[:2_000],
        "errors": [{"path": problem.path, "message": problem.message} for problem in reason.problems],
        "tenant": reason.tenant,
        "id": reason.id,
        "run": reason.run,
        "first_seen": now,
        "last_seen": now,
    }
    source = head.source_id(delivery.topic, delivery.partition, delivery.offset)
    return Record(table.DEAD_LETTERS, encode(letter), delivery.key, head.DEAD_LETTER.headers(source, format_time(now)))


DEAD_LETTERED = frozenset({"invalid_output", "provider_error", "provider_timeout", "unknown_outcome", "internal"})
"""Failed results with these codes leave a dead letter to redrive from as well."""


def letters_again(call: PromptCall, run: int, result: bytes) -> Sequence[Record]:
    """The dead letter of a stored result, where it has one: who settled it may have died before he produced it.

    Where its call was delivered is not known any more: partition and offset are -1, the value is the call itself.
    """
    said = orjson.loads(result)
    error = said["error"]
    if error is None or not leaves_dead_letter(call, State(said["status"]), error["code"], said["output"]):
        return ()
    topic, key = table.CALLS[call.lane], f"{call.tenant}/{call.id}".encode()  # type: ignore[index]
    at = parse_time(said["completed_at"])
    delivery = Delivery((topic, -1), topic, -1, -1, 0, key, call.encode(), (), at.timestamp())
    problems = [Problem(one["path"], one["message"]) for one in error["errors"]]
    reason = Reason(
        "infer", error["code"], error["message"], problems, call.tenant, call.id, run, said["usage"]["attempts"]
    )
    return (dead_letter(delivery, reason, at),)


def leaves_dead_letter(call: PromptCall, state: State, code: str | None, output: Any) -> bool:
    """Whether a request that ends so is also kept as a dead letter."""
    if call.cut_is_answer and code == "invalid_output" and isinstance(output, str):
        return False  # only a text that its limit cut is kept beside an error
    return state is State.FAILED and code in DEAD_LETTERED
