"""The rows of the door, and what operators and tenants see of the work."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from domain.errors import Permanent
from domain.jobs.model import Job, JobView, Submission
from domain.ledger.model import (
    Source,
)
from domain.letters.model import Letter, Redriven, Republish, Rerun, Wanted
from domain.queues.model import QueueLook


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
