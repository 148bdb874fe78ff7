"""Starting work: the job's row, then its record, then perhaps the wait (rules D1 and D2).

Nothing is answered 2xx before the broker has acknowledged the record. A repeat of an unfinished request whose record
may not have got through is produced once more: intake recognises it, and a lost one would otherwise wait for the
sweeper. With an Idempotency-Key only once whoever was first, in any instance, must have answered: many at once are one
record.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Self

from starlette.responses import Response

from api import problems
from api.analyze import outcome
from api.analyze.marks import Marks
from api.analyze.submission import Ask, Reader, Submission
from api.analyze.waiters import FINAL, Waiter, Waiters
from api.deadlines import Deadlines
from api.limits.glance import Glance
from api.ports import ApiPorts
from api.problems import Problem
from domain.batching import Batcher
from domain.errors import Transient
from domain.jobs.model import Job, JobView
from domain.jobs.model import Submission as Standing
from domain.ports import Record
from topics import headers
from topics.base import format_time
from topics.table import REQUESTS

RERUNNABLE = frozenset({"failed", "rejected"})
IN_PROGRESS_S = 3.0
"""Longer than an instance tries to produce and to note that it did: a job that is older is nobody's any more."""
MOST_GIVEN_UP = 10_000


@dataclass(frozen=True, slots=True)
class Patience:
    """`give_up_at`: when, on the event loop's clock, the client gets its 503. `wait_s`: how long it waits then."""

    give_up_at: float
    wait_s: float = 0.0


@dataclass(slots=True)
class Begun:
    """A request that was taken. `result` is there when it was answered before, `waiter` when it can be waited for.

    As a context manager it forgets its waiter at the end.
    """

    job: Job
    result: bytes | None = None
    waiter: Waiter | None = None
    held: ExitStack = field(default_factory=ExitStack)

    @property
    def id(self) -> str:
        return self.job.id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.held.close()


class Analyze:
    """All routes that start work."""

    def __init__(self, ports: ApiPorts, reader: Reader, waiters: Waiters, marks: Marks, glance: Glance) -> None:
        self._jobs = ports.jobs
        self._producer = ports.producer
        self._glance = glance
        self._reader = reader
        self._waiters = waiters
        self._marks = marks
        self._submits: Batcher[Job, Standing] = Batcher(ports.jobs.submit)
        self._publishes: Batcher[Job, None] = Batcher(self._publish)
        self._deadlines = Deadlines()
        self._in_progress: set[tuple[str, str]] = set()
        self._given_up: set[tuple[str, str]] = set()

    async def synchronous(self, ask: Ask, patience: Patience) -> Response:
        """200 with the result, a problem that carries it, or 202."""
        with self._alone(ask), ExitStack() as stack:
            begun = stack.enter_context(await self.begin(ask, patience, joins=False))
            result = await self.wait(begun, patience.wait_s)
        return _location(begun.id, "accepted") if result is None else outcome.respond(result)

    async def begin(self, ask: Ask, patience: Patience, *, joins: bool = True, watches: bool = False) -> Begun:
        """Its record is with the broker, or it was answered before. Raises Problem.

        joins: a repeat under an Idempotency-Key waits for the first request; else it is not waited for.
        watches: its waiter is told of states and text as well.
        """
        submission = await self._reader.read(ask)
        if submission.request.on_limit == "reject":
            await self._glance.check(ask.caller)
        job, after_run = submission.job, 0
        view = await self._submit(submission, patience)
        if view is not None and _answered(view, submission):
            return Begun(job, _stored(view))
        if view is not None and submission.keyed and not joins:
            await self._accepted(submission, view, patience)
            return Begun(job)
        if view is not None:
            after_run = view.run if view.state in FINAL else 0
        with ExitStack() as stack:
            waiter = stack.enter_context(
                self._waiters.waiter(job.tenant, job.id, joined=view is not None, after_run=after_run, watches=watches)
            )
            await self._produce_unless_underway(submission, view, patience)
            return Begun(job, None, waiter, stack.pop_all())

    async def wait(self, begun: Begun, seconds: float) -> bytes | None:
        """The result's bytes, None when there is none yet."""
        if begun.result is not None or begun.waiter is None:
            return begun.result
        return await self._waiters.wait(begun.waiter, seconds)

    async def asynchronous(self, ask: Ask, patience: Patience) -> Response:
        """202, whether the request is new or a repeat."""
        with self._alone(ask):
            submission = await self._reader.read(ask)
            if submission.request.on_limit == "reject":
                await self._glance.check(ask.caller)
            return await self._accepted(submission, await self._submit(submission, patience), patience)

    async def publish(self, jobs: Sequence[Job]) -> None:
        """Produce the records of submitted jobs and remember that it was done. Raises Unavailable."""
        await self._producer.send([record_of(job) for job in jobs])
        names = [(job.tenant, job.id) for job in jobs]
        self._given_up.difference_update(names)
        self._marks.add(names)

    async def _publish(self, jobs: Sequence[Job]) -> list[None]:
        await self.publish(jobs)
        return [None] * len(jobs)

    @contextmanager
    def _alone(self, ask: Ask) -> Iterator[None]:
        if ask.idempotency_key is None:
            yield
            return
        name = (ask.caller.tenant.name, ask.idempotency_key)
        if name in self._in_progress:
            raise _in_progress()
        self._in_progress.add(name)
        try:
            yield
        finally:
            self._in_progress.discard(name)

    async def _submit(self, submission: Submission, patience: Patience) -> JobView | None:
        """None for a new job, what is known of it for a repeat. Raises Problem: id_conflict, unavailable."""
        job = submission.job
        try:
            standing = await self._deadlines.of_future(self._submits.submit(job), patience.give_up_at)
            if standing is Standing.NEW:
                return None
            if standing is Standing.CONFLICT:
                raise _conflict(job)
            async with asyncio.timeout_at(patience.give_up_at):
                views = await self._jobs.view(job.tenant, [job.id])
        except (TimeoutError, Transient) as error:
            raise _unavailable(job, "the ledger", error) from None
        return views[0] if views else _unseen(job)

    async def _produce_unless_underway(self, submission: Submission, view: JobView | None, patience: Patience) -> None:
        job, name = submission.job, (submission.job.tenant, submission.job.id)
        if view is not None and view.state not in FINAL:
            if view.unproduced_s is None or name in self._marks:
                return
            if submission.keyed and view.unproduced_s < IN_PROGRESS_S and name not in self._given_up:
                raise _in_progress()
        try:
            await self._deadlines.of_future(self._publishes.submit(job), patience.give_up_at)
        except (TimeoutError, Transient) as error:
            self._give_up(name)
            raise _unavailable(job, "the broker", error) from None

    def _give_up(self, name: tuple[str, str]) -> None:
        """Remember that nobody here tries any more: its repeat need not wait until it is certain."""
        if len(self._given_up) >= MOST_GIVEN_UP:
            self._given_up.clear()
        self._given_up.add(name)

    async def _accepted(self, submission: Submission, view: JobView | None, patience: Patience) -> Response:
        answered = view is not None and _answered(view, submission)
        if not answered:
            await self._produce_unless_underway(submission, view, patience)
        # a replay is the same body as the first answer, which could only say accepted
        status = view.state if view is not None and answered and not submission.keyed else "accepted"
        return _location(submission.job.id, status)


def record_of(job: Job) -> Record:
    """The record on prompt.requests; the same job is always the same bytes."""
    own = [(headers.API_KEY, job.api_key_id.encode())] if job.api_key_id else []
    if job.reply_to:
        own.append((headers.REPLY_TO, job.reply_to.encode()))
    if job.streams:
        own.append((headers.STREAMS, b"1"))
    if job.cut_is_answer:
        own.append((headers.CUT_IS_ANSWER, b"1"))
    built = headers.REQUEST.headers(
        headers.request_id(job.tenant, job.id), format_time(job.submitted_at), job.traceparent, own
    )
    return Record(REQUESTS, job.record, job.id.encode(), built)


def _answered(view: JobView, submission: Submission) -> bool:
    """Whether the request is finished and this is not a wish to run it again."""
    if view.state not in FINAL:
        return False
    return submission.keyed or not (submission.request.rerun and view.state in RERUNNABLE)


def _stored(view: JobView) -> bytes:
    if view.result is None:
        raise Problem("expired", f"request {view.id!r} is finished and its result is no longer kept")
    return view.result


def _location(id: str, status: str) -> Response:
    return outcome.Accepted(id, status)


def _unseen(job: Job) -> JobView:
    """Forgotten between two statements: nothing is known of its record."""
    at = job.submitted_at
    return JobView(job.tenant, job.id, "accepted", 1, at, at, unproduced_s=IN_PROGRESS_S)


def _in_progress() -> Problem:
    detail = "the first request with this Idempotency-Key has not been answered yet; repeat it later"
    return Problem("in_progress", detail, headers=problems.retry_header(1))


def _conflict(job: Job) -> Problem:
    taken = f"id {job.id!r}" if job.idempotency_key is None else f"Idempotency-Key {job.idempotency_key!r}"
    return Problem("id_conflict", f"{taken} was used for a request with another body; choose a new one")


def _unavailable(job: Job, what: str, error: Exception) -> Problem:
    detail = f"{what} does not answer; repeat the request with the id {job.id!r}, which is worked on once"
    return problems.unavailable(detail, getattr(error, "retry_after", None), {"id": job.id})
