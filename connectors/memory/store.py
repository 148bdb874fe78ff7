"""What the in-memory ledger, jobs and accounts keep: shared by all that play workers of one line."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from domain.budgets.model import Bill, Budget, Notice
from domain.budgets.rules import Account
from domain.errors import Permanent
from domain.jobs.model import Job
from domain.ledger.model import Attempt, AttemptDone, Claim, Source, State
from domain.ledger.rules import Held
from domain.letters.model import Letter

Key = tuple[str, str]
AttemptKey = tuple[str, str, int, int]
"""(tenant, id, run, attempt)."""
AccountKey = tuple[str, int, str]
"""(tenant, the budget's serial, the period's label)."""


@dataclass(slots=True)
class AttemptState:
    """One attempt of a run."""

    epoch: int
    provider: str
    model: str
    outcome: str
    started_at: datetime
    finished_at: datetime | None = None
    cost_usd: Decimal | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    record: bytes | None = None

    def complete(self, done: AttemptDone, at: datetime) -> None:
        """What became of it; the first word with a known outcome stays."""
        if self.outcome not in {"started", "unknown"}:
            return
        self.outcome, self.cost_usd, self.record = done.outcome, done.cost_usd, done.record
        self.input_tokens, self.output_tokens, self.finished_at = done.input_tokens, done.output_tokens, at

    def shown(self, attempt: int) -> Attempt:
        return Attempt(
            attempt,
            self.epoch,
            self.provider,
            self.model,
            self.outcome,
            self.cost_usd,
            self.input_tokens,
            self.output_tokens,
            self.started_at,
            self.finished_at,
            self.record,
        )


@dataclass(slots=True)
class Request:
    """One request, as the tables claims, bodies, results and attempts hold it."""

    tenant: str
    id: str
    body_hash: bytes
    source: Source
    lane: str
    submitted_at: datetime
    deadline: datetime | None
    fail_on_unknown: bool
    claimed_at: datetime
    updated_at: datetime
    cancel_requested: bool = False
    waited_for_budget: bool = False
    run: int = 1
    epoch: int = 0
    state: State = State.ACCEPTED
    worker: str | None = None
    dispatches: int = 0
    settled_at: datetime | None = None
    emitted_at: datetime | None = None
    settled_by: str | None = None
    error_code: str | None = None
    calls: dict[int, bytes] = field(default_factory=dict)
    results: dict[int, bytes] = field(default_factory=dict)
    attempts: dict[int, list[AttemptState]] = field(default_factory=dict)

    @classmethod
    def claimed(cls, claim: Claim, at: datetime) -> "Request":
        facts = (claim.tenant, claim.id, claim.body_hash, claim.source, claim.lane, claim.submitted_at)
        row = cls(*facts, claim.deadline, claim.fail_on_unknown, at, at)
        row.calls[1] = claim.call
        return row

    def restart(self, claim: Claim, at: datetime) -> None:
        """A new run (rule L3)."""
        self.run, self.epoch, self.state = self.run + 1, self.epoch + 1, State.ACCEPTED
        self.body_hash, self.source, self.lane = claim.body_hash, claim.source, claim.lane
        self.submitted_at, self.deadline, self.fail_on_unknown = (
            claim.submitted_at,
            claim.deadline,
            claim.fail_on_unknown,
        )
        self.worker, self.dispatches, self.claimed_at, self.updated_at = None, 0, at, at
        self.cancel_requested = False
        self.settled_at = self.emitted_at = self.settled_by = self.error_code = None
        self.calls[self.run] = claim.call

    @property
    def tried(self) -> list[AttemptState]:
        """The attempts of the present run."""
        return self.attempts.setdefault(self.run, [])

    @property
    def shown(self) -> tuple[Attempt, ...]:
        return tuple(attempt.shown(n) for n, attempt in enumerate(self.tried, start=1))

    @property
    def usage(self) -> tuple[bytes, ...]:
        return tuple(attempt.record for attempt in self.tried if attempt.record is not None)

    def held(self) -> Held:
        emitted, dispatched = self.emitted_at is not None, self.dispatches > 0 or bool(self.tried)
        return Held(self.run, self.state, self.body_hash, self.source, self.settled_by, emitted, dispatched)


@dataclass(slots=True)
class Wait:
    """A row of `waiting`."""

    run: int
    epoch: int
    not_before: datetime
    reason: str
    lane: str
    behind: str | None = None
    gate: str | None = None


@dataclass(slots=True)
class CancelAsked:
    """A row of `cancels`."""

    run: int
    worker: str | None
    asked_at: datetime
    look_at: datetime


@dataclass(slots=True)
class StoredJob:
    """A row of `jobs`, and of `outbox` until it is produced."""

    job: Job
    created_at: datetime
    produced: bool = False


@dataclass(slots=True)
class StoredLetter:
    """A row of `dead_letters`."""

    letter: Letter
    publish_at: datetime | None = None
    value: bytes | None = None


@dataclass(slots=True)
class StoredBudget:
    """A row of `budgets`."""

    budget: Budget
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """A row of `budget_holds`: what an attempt may cost, held in one account."""

    serial: int
    label: str
    amount_usd: Decimal


@dataclass(slots=True)
class StoredNotice:
    """A row of `budget_notices`."""

    notice: Notice
    look_at: datetime
    told: bool = False


@dataclass(slots=True)
class StoredBill:
    """A row of `beside_usage`."""

    bill: Bill
    look_at: datetime


@dataclass(slots=True)
class MemoryStore:
    """The tables. `look_at`: before then the sweeper leaves a request alone; `questions`: the id that holds each."""

    requests: dict[Key, Request] = field(default_factory=dict)
    waiting: dict[Key, Wait] = field(default_factory=dict)
    leases: dict[str, datetime] = field(default_factory=dict)
    look_at: dict[Key, datetime] = field(default_factory=dict)
    cancels: dict[Key, CancelAsked] = field(default_factory=dict)
    questions: dict[tuple[str, bytes], str] = field(default_factory=dict)
    jobs: dict[Key, StoredJob] = field(default_factory=dict)
    letters: dict[Key, StoredLetter] = field(default_factory=dict)
    budgets: dict[Key, StoredBudget] = field(default_factory=dict)
    budget_version: int = 0
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    holds: dict[AttemptKey, list[Hold]] = field(default_factory=dict)
    entries: dict[AttemptKey, Decimal] = field(default_factory=dict)
    notices: dict[tuple[str, int, str, int], StoredNotice] = field(default_factory=dict)
    bills: dict[AttemptKey, StoredBill] = field(default_factory=dict)


def refusal(*texts: str | None) -> Permanent | None:
    """Why a database would refuse these texts: NUL or a lone surrogate."""
    for text in texts:
        if text is not None and ("\0" in text or not _encodes(text)):
            return Permanent(f"a database refuses the text {text!r}: it holds NUL or a lone surrogate")
    return None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
