"""The ledger's decisions that need no store. PostgreSQL takes the same ones in SQL where they must hold under a lock.

A test suite that runs over every implementation of the port keeps the two in step.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.ledger.model import Claim, Grip, Source, Standing, State, Take

LEASE = timedelta(seconds=10)
"""How long a worker's lease lasts without renewal, by the store's clock (rule L6)."""

STRAY_AFTER = timedelta(seconds=30)
"""How long a request may be accepted before somebody looks whether its call was ever produced (rule L15)."""

EMIT_AFTER = timedelta(seconds=10)
"""How long a final request may go without `emitted` before its result is produced again (rule L15)."""

LOOK_AGAIN = timedelta(minutes=5)
"""The least time between two looks of the sweeper at one accepted request; it grows with the request's age."""

CANCEL_AGAIN = timedelta(seconds=1)
"""How long after a look at a request that is to be cancelled and is not over yet the next one comes."""

LATE = timedelta(seconds=1)
"""How long after an answer a request may be claimed that is still given it: its look into the cache came too early
(rule L14)."""

BEHIND_LOOK = timedelta(seconds=15)
"""How often wake looks whether the request is over that another one waits behind. Its end does not wait for that."""

MAX_UNHEARD = 3
"""Dispatches in a row that nobody heard of again; the next one is refused (rule L9)."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a claim that met an existing row compares itself with. dispatched: a worker had this run in hand before."""

    run: int
    state: State
    body_hash: bytes
    source: Source
    settled_by: str | None
    emitted: bool
    dispatched: bool


def standing(claim: Claim, row: Held) -> Standing:
    """What a delivery is to the row that was there before it (rule L2)."""
    if claim.source == row.source:
        return _redelivery(row)
    if _other_body(claim.body_hash, row.body_hash):
        return Standing.CONFLICT
    return Standing.REPEATED if row.state.final else Standing.JOINED


def restarts(claim: Claim, row: Held) -> bool:
    """Whether this delivery starts a new run: explicit intent, a new source, and nothing was completed (rule L3)."""
    return (
        claim.rerun
        and row.state in {State.FAILED, State.REJECTED}
        and claim.source != row.source
        and not _other_body(claim.body_hash, row.body_hash)
    )


def _redelivery(row: Held) -> Standing:
    if row.state is State.ACCEPTED and not row.dispatched:
        return Standing.RESUMED
    if row.state.final and row.settled_by == "intake" and not row.emitted:
        return Standing.EMIT
    return Standing.SETTLED_ELSEWHERE


def _other_body(one: bytes, other: bytes) -> bool:
    """The first byte is the hash's version: hashes of different versions say nothing about the bodies."""
    return one[:1] == other[:1] and one != other


@dataclass(frozen=True, slots=True)
class Dispatchable:
    """What a Take compares itself with. `unheard`: dispatches in a row before this one that never came back.

    elsewhere: it is dispatched to another worker; live: that one's lease may last.
    """

    run: int
    epoch: int
    state: State
    emitted: bool
    unheard: int
    fail_on_unknown: bool
    elsewhere: bool
    live: bool
    cancel_requested: bool = False


def grip(take: Take, row: Dispatchable | None) -> Grip:
    """What a worker that asks for a request gets (rules L3, L7, L9, L10, L15)."""
    if row is None or row.run != take.run or row.state is State.WAITING:
        return Grip.STALE
    if row.state.final:
        return Grip.FINISHED if row.emitted else Grip.UNEMITTED
    outdated = take.epoch is not None and take.epoch < row.epoch
    if row.elsewhere and (row.live or outdated):
        return Grip.HELD
    if row.state is State.ACCEPTED and outdated:
        return Grip.STALE
    if row.cancel_requested:
        return Grip.CANCELLED
    if row.unheard >= MAX_UNHEARD or (row.fail_on_unknown and row.unheard > 0):
        return Grip.EXHAUSTED
    return Grip.TAKEN


def look_for_claim(now: datetime, asked_at: datetime) -> datetime:
    """When a request that is to be cancelled and is not claimed yet is looked for next.

    Its claim meets the wish itself; only one that was claimed at the same moment has to be found, soon after.
    """
    return now + max(CANCEL_AGAIN / 2, (now - asked_at) / 4)


def look_again(now: datetime, claimed_at: datetime) -> datetime:
    """When an accepted request that was produced again is looked at next.

    It may only be queued behind a long backlog: the pause grows with its age, so that a backlog is repeated a few
    times in all instead of every few minutes.
    """
    return now + max(LOOK_AGAIN, now - claimed_at)
