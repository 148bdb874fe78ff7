"""The values that go into and come out of the ledger, one small record a verb. No I/O.

A request moves accepted -> dispatched <-> waiting -> completed | failed | rejected, keyed by (tenant, id).
`run` counts explicit restarts from 1, `epoch` every change of hands within a run: it is the fencing token.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from domain.budgets.model import Over, Reserve


class State(StrEnum):
    """Where a request stands; the last three are final."""

    ACCEPTED = "accepted"
    DISPATCHED = "dispatched"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"

    @property
    def final(self) -> bool:
        return self in FINAL


FINAL = frozenset({State.COMPLETED, State.FAILED, State.REJECTED})


@dataclass(slots=True)
class Source:
    """Where a delivery came from: the same source twice is a redelivery, another one is a repeat (rule L2)."""

    topic: str
    partition: int
    offset: int


@dataclass(slots=True)
class Claim:
    """A request as intake read it. `call` is the encoded PromptCall, kept until the request is swept."""

    tenant: str
    id: str
    body_hash: bytes
    source: Source
    call: bytes
    lane: str
    submitted_at: datetime
    deadline: datetime | None = None
    fail_on_unknown: bool = False
    rerun: bool = False


class Standing(StrEnum):
    """What a claim met."""

    NEW = "new"  # ours: go on
    RESUMED = "resumed"  # a redelivery of an accepted row that no worker has had: go on as if it were new
    EMIT = "emit"  # a redelivery of a row that intake settled: produce the stored result again
    SETTLED_ELSEWHERE = "settled_elsewhere"  # a redelivery that others already carry on or finished: nothing to do
    JOINED = "joined"  # a repeat of an unfinished request
    REPEATED = "repeated"  # a repeat of a finished request: `state` and `result` say how it ended
    CONFLICT = "conflict"  # the id is taken by another body


@dataclass(slots=True)
class Claimed:
    """The answer to a Claim, in the order of the batch. `result` is the stored bytes where the request is final.

    `cancelled`: somebody asked for its end before it was claimed, or since.
    """

    standing: Standing
    run: int
    state: State
    result: bytes | None = None
    epoch: int = 0  # intake settles and parks under it
    cancelled: bool = False


@dataclass(slots=True)
class Take:
    """infer wants to work on (tenant, id, run); the first attempt is recorded as started in the same transaction.

    With `calls` False no attempt is recorded: the request will be settled without one (its deadline passed).
    A row that this incarnation itself has dispatched is taken again: whoever asks has nothing of it running.
    Any other row is taken only under `epoch`, the one its call was produced under: a statement whose caller gave it up
    and that is done later would otherwise hold a request that nobody works on. None, of a call that does not name
    its epoch, matches every row.
    `question` is what it asks, where the answer to another request that asks the same would do (rule L14). It counts
    at the first attempt of a run only: what was called for is not given up for somebody else's call.
    `reserve` is held for the attempt in the same transaction (rule L12); `rules` is the version of the budgets that it
    follows from.
    """

    tenant: str
    id: str
    run: int
    provider: str
    model: str
    calls: bool = True
    epoch: int | None = None
    question: bytes | None = None
    reserve: Reserve | None = None
    rules: int = 0


class Grip(StrEnum):
    """What a Take met."""

    TAKEN = "taken"  # ours under `epoch`; attempt number `attempt` is recorded as started
    # ours under `epoch`, but it must end as unknown_outcome without a call: dispatched three times before without
    # anybody hearing of the outcome (a park resets the count), or once where the request says fail (rule L9)
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"  # ours under `epoch`, but it must end as cancelled without a call (rule L11)
    BEHIND = "behind"  # another request asks the same already: parked until that one is over (rule L14)
    ANSWERED = "answered"  # it was just answered to another: `result` is that one's; ours to settle under `epoch`
    OVER_BUDGET = "over_budget"  # ours under `epoch`, without an attempt: `over` says which budget is short (rule L12)
    OUTDATED = "outdated"  # budgets have changed since the take was made: look at them again, then take (rule L12)
    HELD = "held"  # another worker has it: wake looks at it when that one's lease ends (rule L7)
    STALE = "stale"  # an older run or epoch, a delivery before not_before, a row that is gone: acknowledge and drop
    FINISHED = "finished"  # final and emitted: nothing to produce
    UNEMITTED = "unemitted"  # final but perhaps not produced: produce `result` and `usage` again


@dataclass(slots=True)
class Taken:
    """The answer to a Take, in the order of the batch.

    repeats: nobody heard of the outcome of the call before this one, so that the provider may be paid twice.
    retaken: a statement whose answer was lost had taken it before; nothing was changed now.
    reserved: the attempt was taken with a reservation.
    """

    grip: Grip
    epoch: int = 0
    attempt: int = 0
    result: bytes | None = None
    usage: tuple[bytes, ...] = ()
    repeats: bool = False
    retaken: bool = field(default=False, compare=False)
    over: Over | None = None
    reserved: bool = False


@dataclass(slots=True)
class AttemptDone:
    """How attempt number `attempt` of a run ended. `record` is the encoded UsageRecord, stored to be produced again.

    frees: its cost takes the place of what was reserved for it; where nobody knows the cost it stays reserved (L12).
    """

    attempt: int
    outcome: str
    cost_usd: Decimal
    input_tokens: int
    output_tokens: int
    record: bytes
    frees: bool = False


def still_running(attempt: int) -> AttemptDone:
    """Of an attempt beside which another one begins: nothing is known of it yet."""
    return AttemptDone(attempt, "started", Decimal(0), 0, 0, b"")


@dataclass(frozen=True, slots=True)
class Next:
    """A further attempt within the same epoch (a re-ask): completes `done`, records a new one as started (rule L8).

    With `still_running` nothing is completed: the two run beside each other. It reserves for itself (rule L12).
    """

    tenant: str
    id: str
    run: int
    epoch: int
    done: AttemptDone
    provider: str
    model: str
    reserve: Reserve | None = None


@dataclass(frozen=True, slots=True)
class Aside:
    """How an attempt ended whose run goes on, or is over, by another one that ran beside it (rule L8)."""

    tenant: str
    id: str
    run: int
    done: AttemptDone


@dataclass(slots=True)
class Settlement:
    """A final transition. `result` is the encoded PromptResult; `epoch` fences it (rule L11).

    settled_by: the stage, `intake` or `infer` or `wake`. `done` is the last attempt, None where no call was made.
    """

    tenant: str
    id: str
    run: int
    epoch: int
    state: State
    result: bytes
    settled_by: str
    error_code: str | None = None
    done: AttemptDone | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A final request whose result may not have been produced (rule L15)."""

    tenant: str
    id: str
    run: int
    call: bytes
    result: bytes
    usage: tuple[bytes, ...]


@dataclass(slots=True)
class Settled:
    """Whether the settlement won, and the stored records of *all* attempts of the run, to be produced.

    followers: requests that waited for this answer and were settled with it, to be produced as well (rule L14).
    """

    won: bool
    usage: tuple[bytes, ...] = ()
    followers: tuple[Finished, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody wants (tenant, id) to end as it stands: its present run, or its first if it is not claimed yet."""

    tenant: str
    id: str


class Cancelling(StrEnum):
    """What a Cancel met."""

    ASKED = "asked"  # it will end, as cancelled unless an answer is settled first
    FINAL = "final"  # it was over before: nothing changed
    UNKNOWN = "unknown"  # neither claimed nor submitted


@dataclass(frozen=True, slots=True)
class Park:
    """Put a request into waiting until `not_before` (rule L10); its call comes back through wake.

    reason: rate_limit | lane | concurrency | budget | pacing | breaker | retry | lease | coalesced. One that waits for
    a place names its `gate`: it comes back when there is one, whatever the time.
    """

    tenant: str
    id: str
    run: int
    epoch: int
    not_before: datetime
    reason: str
    lane: str
    done: AttemptDone | None = None
    gate: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """So many of those who wait for a place of this gate may go on."""

    tenant: str
    gate: str
    places: int


@dataclass(frozen=True, slots=True)
class Woken:
    """A request that is due: accepted again under a new epoch. `call` is the stored PromptCall."""

    tenant: str
    id: str
    run: int
    lane: str
    call: bytes
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as the ledger knows it; `outcome` is `started` while it runs, `unknown` where nobody can tell."""

    attempt: int
    epoch: int
    provider: str
    model: str
    outcome: str
    cost_usd: Decimal | None
    input_tokens: int | None
    output_tokens: int | None
    started_at: datetime
    finished_at: datetime | None
    record: bytes | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """Everything `explain` and `/v1/jobs/{id}` show of a request."""

    tenant: str
    id: str
    run: int
    epoch: int
    state: State
    lane: str
    source: Source
    dispatches: int
    created_at: datetime
    updated_at: datetime
    submitted_at: datetime
    not_before: datetime | None
    reason: str | None
    worker: str | None
    lease_until: datetime | None
    settled_by: str | None
    emitted_at: datetime | None
    error_code: str | None
    result: bytes | None
    attempts: tuple[Attempt, ...]

    @property
    def repeated(self) -> int:
        """How many calls of this run were made though nobody had heard of the outcome of the one before."""
        return repeated([(attempt.epoch, attempt.outcome) for attempt in self.attempts])


_RETRIED = frozenset({"started", "rate_limited", "timeout", "error"})


def repeated(attempts: Sequence[tuple[int, str]]) -> int:
    """The same of (epoch, outcome) in the order of the attempts.

    An attempt that another worker repeats is `unknown`, or says later what its fenced worker heard. In one epoch a
    further attempt is a re-ask; after an outcome that is worth a wait it is a retry.
    """
    return sum(epoch != later and outcome not in _RETRIED for (epoch, outcome), (later, _) in pairwise(attempts))
