"""The values that go into and come out of the store of dead letters. No I/O."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

RUN_STAGES = frozenset({"intake", "infer", "wake"})
"""Their letters with a run are of a request that has a row in the ledger."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. `body` is the DeadLetter message as it was produced, None in listings.

    letter: 32 hexadecimal digits, the same however often the letter is produced
    tenant: None for what belongs to nobody: only the operator sees it
    redriven_run: the run that a redrive started, None where the record was published again
    """

    letter: str
    tenant: str | None
    id: str | None
    run: int | None
    code: str
    stage: str
    reason: str
    topic: str
    attempts: int
    size: int
    first_seen: datetime
    last_seen: datetime
    body: bytes | None = None
    redriven_at: datetime | None = None
    redriven_run: int | None = None

    @property
    def of_a_run(self) -> bool:
        """Whether a request in the ledger failed with it, so that redriving it is a new run."""
        return self.run is not None and self.run > 0 and self.stage in RUN_STAGES and None not in (self.tenant, self.id)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters. `tenant` None is the operator's view over all tenants and over letters of nobody.

    since, until: of `last_seen`, the second excluded. redriven: None for both kinds. letters: these only. stage: whose.
    """

    tenant: str | None
    code: str | None = None
    id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    redriven: bool | None = None
    letters: tuple[str, ...] | None = None
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Rerun:
    """Start run `run` + 1 of a request that ended with this letter, at `not_before` (rule L3).

    `call` is the encoded PromptCall of the new run; `body_hash` is used only where the ledger has forgotten the id.
    """

    letter: str
    tenant: str
    id: str
    run: int
    call: bytes
    lane: str
    fail_on_unknown: bool
    body_hash: bytes
    not_before: datetime


@dataclass(frozen=True, slots=True)
class Republish:
    """Publish the record of a letter again at `not_before`: as it came, or `value` where it was edited.

    `tenant` is the letter's, None for a letter of nobody.
    """

    letter: str
    tenant: str | None
    not_before: datetime
    value: bytes | None = None


class Redriven(StrEnum):
    """What asking for a redrive met."""

    STARTED = "started"
    BEFORE = "before"  # somebody redrove it already
    NOT_FAILED = "not_failed"  # its request is not at that run any more, or its result is not out yet


def letter_id(fields: Mapping[str, Any]) -> str:
    """The name of a DeadLetter, from what it tells of: a run ends once, a record is buried once by a stage."""
    tenant, id, run, stage = (fields.get(name) for name in ("tenant", "id", "run", "stage"))
    if run and tenant and id and stage in RUN_STAGES:
        what = f"run/{tenant}/{id}/{run}"
    else:
        what = f"record/{stage}/{fields.get('topic')}/{fields.get('partition')}/{fields.get('offset')}"
    return hashlib.sha256(what.encode("utf-8", "replace")).hexdigest()[:32]
