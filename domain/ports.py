"""What the rules and the stages need from the outside. Every port has an in-memory twin in connectors/memory.

All methods may raise `Unavailable` (the dependency does not answer: nothing may be assumed) and are safe to repeat.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from domain.accounts.model import ApiKey, Tenant
from domain.admission.model import Charge
from domain.errors import Permanent
from domain.jobs.model import Job, JobView, Submission
from domain.ledger.model import (
    Cancel,
    Cancelling,
    Claim,
    Claimed,
    Finished,
    Next,
    Park,
    RequestRecord,
    Settled,
    Settlement,
    Source,
    Take,
    Taken,
    Woken,
)
from domain.letters.model import Letter, Redriven, Republish, Rerun, Wanted
from domain.queues.model import QueueLook
from domain.routing.model import ModelCall, ModelReply


class Ledger(Protocol):
    """The authority over requests, attempts and money. Batches are ordered; answers are in the batch's order.

    Every verb is one transaction and idempotent; a bad row never fails its neighbours (rule L16): the batch is
    bisected, and the answer in the place of a row that cannot be stored is a Permanent error.
    """

    async def claim(self, batch: Sequence[Claim]) -> list[Claimed | Permanent]: ...

    async def take(self, batch: Sequence[Take]) -> list[Taken | Permanent]:
        """Take requests under this incarnation's lease and record the first attempt as started (L6, L8, L9).

        A row under another live lease is parked until that lease ends (L7).
        """
        ...

    async def go_on(self, batch: Sequence[Next]) -> list[int | Permanent]:
        """Complete an attempt and start the next in the same epoch: its number, or 0 when fenced (do not call)."""
        ...

    async def settle(self, batch: Sequence[Settlement]) -> list[Settled | Permanent]: ...

    async def park(self, batch: Sequence[Park]) -> list[bool | Permanent]:
        """True where the request is now waiting, False where the epoch was not ours any more."""
        ...

    async def cancel(self, batch: Sequence[Cancel]) -> list[Cancelling | Permanent]:
        """Ask for the end of requests (rule L11). Who takes, holds or sweeps one next settles it as cancelled."""
        ...

    async def cancelled(self, limit: int) -> list[Woken]:
        """Requests to be cancelled that no live worker holds: to be settled under their epoch. Each is looked at
        again after a second, until it is final."""
        ...

    async def abandoned(self) -> list[tuple[str, str, int]]:
        """(tenant, id, run) to be cancelled that this worker holds or held a moment ago: its calls are to be left."""
        ...

    async def wake(self, limit: int) -> list[Woken]:
        """Up to `limit` due requests, in due order, made accepted under a new epoch. Safe from several workers.

        A woken row that is not taken within 30 s is found again by `stray` (rule L15).
        """
        ...

    async def stray(self, limit: int) -> list[Woken]:
        """Unfinished requests nobody works on: lease dead, or accepted for more than 30 s (rule L15)."""
        ...

    async def unemitted(self, limit: int) -> list[Finished]:
        """Final requests settled more than 10 s ago and not known to be produced (rule L15)."""
        ...

    async def overdue(self, limit: int) -> list[Woken]:
        """Requests whose deadline passed while nobody works on them: to be settled as deadline_exceeded."""
        ...

    async def emitted(self, batch: Sequence[tuple[str, str, int]]) -> None:
        """(tenant, id, run) whose result is durable on its topic."""
        ...

    async def register(self, incarnation: str, stage: str) -> None:
        """Start this worker's lease (rule L6). `incarnation` is new at every start of a process."""
        ...

    async def renew(self) -> None:
        """Extend this worker's lease by 10 s of the database's clock."""
        ...

    async def release(self) -> None:
        """End this worker's lease: what it still holds is stray at once."""
        ...

    async def find(self, tenant: str, id: str) -> RequestRecord | None: ...

    async def next_due(self) -> datetime | None:
        """When the earliest waiting request is due."""
        ...


class Jobs(Protocol):
    """The API's rows (rule D1): what was submitted, whether or not it has been claimed yet."""

    async def submit(self, batch: Sequence[Job]) -> list[Submission | Permanent]:
        """Store what is new, in one statement for the batch; answers are in its order. Two of one id may be in it."""
        ...

    async def produced(self, keys: Sequence[tuple[str, str]]) -> None:
        """(tenant, id) whose record the broker has acknowledged."""
        ...

    async def unproduced(self, older_than: timedelta, limit: int) -> list[Job]:
        """Jobs submitted longer ago than that and not known to be produced: to be produced again."""
        ...

    async def view(self, tenant: str, ids: Sequence[str]) -> list[JobView]:
        """Those of `ids` that exist, finished or not, whichever door they came through; `result` included."""
        ...

    async def listing(self, tenant: str, limit: int, before: tuple[datetime, str] | None) -> list[JobView]:
        """Newest first; `before` is the (created_at, id) of the last row of the previous page. Without results."""
        ...


class Letters(Protocol):
    """Dead letters, kept to be found and redriven. Tenants are walls: a view is of one tenant, or the operator's."""

    async def store(self, batch: Sequence[Letter]) -> None:
        """Keep them; a letter that is known already keeps its first words and gets the newer `last_seen`."""
        ...

    async def page(self, wanted: Wanted, limit: int, before: tuple[datetime, str] | None) -> list[Letter]:
        """Newest first, without bodies; `before` is the (last_seen, letter) of the last row of the previous page."""
        ...

    async def get(self, tenant: str | None, letters: Sequence[str]) -> list[Letter]:
        """Those of `letters` that exist and that `tenant` may see, with their bodies."""
        ...

    async def sources(self, keys: Sequence[tuple[str, str]]) -> list[Source | None]:
        """Of each request (tenant, id): where its record came from, None where that is forgotten."""
        ...

    async def rerun(self, batch: Sequence[Rerun]) -> list[Redriven | Permanent]:
        """Start the next run, waiting, where the ledger's run is the letter's and has failed (rule L3)."""
        ...

    async def republish(self, batch: Sequence[Republish]) -> list[Redriven | Permanent]:
        """Ask for the record to be published again; `due` finds it when it is time."""
        ...

    async def due(self, limit: int) -> list[tuple[Letter, bytes | None]]:
        """Letters to be published now, with the edited value if there is one; nobody else gets them for 30 s."""
        ...

    async def published(self, letters: Sequence[Letter]) -> None:
        """They are durable on their topics."""
        ...


class Queues(Protocol):
    """What is unfinished, counted; bounded, so that a look is cheap however long the queues are."""

    async def look(self, tenant: str) -> QueueLook: ...

    async def waiting(self) -> dict[str, int]:
        """How many requests of all tenants wait, by reason."""
        ...


class Originals(Protocol):
    """The records of requests as they came, as long as the broker keeps them."""

    async def read(self, sources: Sequence[Source]) -> list[bytes | None]:
        """Their values, None for what is not kept any more. Raises Unavailable."""
        ...


class Accounts(Protocol):
    """Tenants and keys."""

    async def tenants(self) -> list[Tenant]: ...

    async def tenant(self, name: str) -> Tenant | None: ...

    async def create_tenant(self, tenant: Tenant) -> bool:
        """False when the name exists already; nothing is changed then."""
        ...

    async def keys(self, tenant: str) -> list[ApiKey]: ...

    async def key_by_digest(self, digest: bytes) -> ApiKey | None: ...

    async def create_key(self, key: ApiKey) -> None: ...

    async def revoke_key(self, tenant: str, id: str, at: datetime) -> bool: ...


@dataclass(slots=True)
class Record:
    """A record to produce; headers are (name, bytes)."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = field(default=())


class Producer(Protocol):
    """The broker's inlet, acks=all and idempotent."""

    async def send(self, records: Sequence[Record]) -> None:
        """Returns when every record is acknowledged; raises Unavailable when one may not be."""
        ...


class Limiter(Protocol):
    """Fleet-wide GCRA (ITU-T I.371) on the store's clock."""

    async def admit(self, batch: Sequence[Charge]) -> list[float]:
        """Seconds until each may pass; 0 is now. A positive wait is already reserved, unless `reject` was set."""
        ...

    async def peek(self, charge: Charge) -> float:
        """Seconds a new event would wait; spends nothing."""
        ...


class Cache(Protocol):
    """Exact answers by key."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]: ...

    async def put_many(self, entries: Sequence[tuple[str, bytes]], ttl: timedelta) -> None: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished request for the API instance that waits for it."""

    instance: str
    tenant: str
    id: str
    result: bytes


class Replies(Protocol):
    """Wakes waiting API instances. A lost reply costs a look into the ledger, never an answer."""

    async def notify(self, replies: Sequence[Reply]) -> None: ...

    def listen(self, instance: str) -> AsyncIterator[Reply]: ...


class Model(Protocol):
    """Calls a provider once. Raises ModelError; never retries."""

    async def call(self, call: ModelCall) -> ModelReply: ...

    async def close(self) -> None: ...


class UsageReader(Protocol):
    """Reads the analytics of one tenant."""

    async def usage(self, tenant: str | None, by: Sequence[str], since: datetime) -> list[dict[str, Any]]:
        """Rows of usage_hourly grouped by `by`; tenant None is the operator's view over all tenants."""
        ...


class Item(NamedTuple):
    """A record as a sink gets it. `timestamp` is the record's log time. A tuple: sinks make 80,000 of them a second."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """An item the destination will never take, with its reason."""

    item: Item
    reason: str


class Sink(Protocol):
    """A destination of results.

    write returns only when the accepted items are durable, names the refused ones, raises Transient when nothing
    may be assumed; writing a batch twice is harmless. It never retries, batches, logs payloads or reads settings.
    """

    topics: tuple[str, ...]

    async def open(self) -> None: ...

    async def write(self, batch: Sequence[Item]) -> list[Refused]: ...

    async def close(self) -> None: ...


class BatchSource(Protocol):
    """Topics read in batches. What was yielded comes again, here or to another member, until it was committed.

    Values are whole records of committed transactions; tombstones never appear. Topic names come without the prefix.
    """

    def batches(self) -> AsyncIterator[Sequence[Item]]:
        """Batches bounded in rows, bytes and time, until `stop`; none is empty. Stays in its group between two."""
        ...

    async def commit(self, batch: Sequence[Item]) -> None:
        """Everything up to this batch is done. A partition that was taken away meanwhile is left to its new owner."""
        ...

    def stop(self) -> None:
        """Makes `batches` end; what was yielded may still be committed."""
        ...

    async def lag(self) -> dict[tuple[str, int], int]:
        """Records not read yet, by (topic, partition) that this member reads."""
        ...

    async def close(self) -> None: ...
