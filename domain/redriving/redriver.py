"""Redriving many letters: found, planned, priced, started at a rate. Both the API and the command line use it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.admission.prepare import Preparer
from domain.errors import InvalidRequest, Permanent
from domain.letters.model import Letter, Redriven, Republish, Rerun, Wanted
from domain.letters.redrive import Edit, body_hash_of, edited, kept, next_call, next_record, reference_in
from domain.ports import Letters, Originals
from domain.pricing.estimate import Estimate, Estimator
from domain.redriving.remapping import Remapped, Remapping
from domain.schemas.model import is_reference
from domain.sources.model import encoded
from topics.codec import Tombstone, Unreadable, read_request
from topics.table import TABLE, is_requests

AT_ONCE = 50
"""Letters in memory at a time: one may have 2 MiB."""

_MENDED_AFTER = timedelta(seconds=6)
"""Intake may believe for 5 s that a tenant does not exist which was created just now."""
_TOPICS = frozenset(topic.name for topic in TABLE)
_SAID = {
    Redriven.BEFORE: "it was redriven before",
    Redriven.NOT_FAILED: "its request is not at that failed run, or its result is still on its way; try again",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What to redrive. `per_second` started a second; `limit` at most, the newest first; `dry_run` starts nothing."""

    wanted: Wanted
    limit: int = 1_000
    per_second: float = 10.0
    edit: Edit = field(default=Edit())
    dry_run: bool = False


@dataclass(slots=True)
class Report:
    """What became of an order. With `dry_run`, `redriven` is what would be. `more`: the limit left some out.

    skipped: (letter, why). estimate: of those that can be priced before they are read again.
    """

    dry_run: bool
    matched: int = 0
    redriven: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    more: bool = False
    estimate: Estimate = field(default_factory=Estimate)
    first_due: datetime | None = None
    last_due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What letters need beside themselves, by their names: records of requests, and requests that sources make."""

    originals: Mapping[str, bytes]
    requests: Remapped


class Redriver:
    """`clock` is the process's; the started runs wait until their time by the ledger's."""

    def __init__(
        self,
        letters: Letters,
        originals: Originals,
        preparer: Preparer,
        remapping: Remapping,
        clock: Callable[[], datetime],
    ) -> None:
        self._letters = letters
        self._originals = originals
        self._preparer = preparer
        self._clock = clock
        self.remapping = remapping

    async def redrive(self, order: Order) -> Report:
        """Repeating an order starts nothing twice. Raises Unavailable; what was started until then stays started."""
        now = self._clock()
        found = await self._letters.page(order.wanted, order.limit + 1, None)
        report = Report(order.dry_run, more=len(found) > order.limit)
        names = [letter.letter for letter in found[: order.limit]]
        estimator = Estimator(self._preparer, now)
        for start in range(0, len(names), AT_ONCE):
            batch = await self._letters.get(order.wanted.tenant, names[start : start + AT_ONCE])
            await _Chunk(self, order, report, estimator, now).work(batch)
        report.estimate = estimator.total
        if report.redriven:
            report.first_due, report.last_due = now, now + _after(report.redriven - 1, order.per_second)
        return report

    async def originals(self, letters: Sequence[Letter], edit: Edit) -> dict[str, bytes]:
        """The requests' own records, as far as they are kept, where the edit needs them."""
        asked = [one for one in letters if edit.needs_original and one.of_a_run and not is_requests(one.topic)]
        sources = await self._letters.sources([(one.tenant or "", one.id or "") for one in asked]) if asked else []
        known = [(one.letter, source) for one, source in zip(asked, sources, strict=True) if source is not None]
        values = await self._originals.read([source for _, source in known]) if known else []
        return {letter: value for (letter, _), value in zip(known, values, strict=True) if value is not None}

    async def load(self, letters: Sequence[Letter], edit: Edit) -> None:
        """The named schemas that planning these needs, if any."""
        wanted = [(one.tenant or "", schema) for one in letters if (schema := reference_in(one)) is not None]
        if is_reference(edit.output_schema):
            wanted += [(one.tenant or "", edit.output_schema) for one in letters]
        if wanted:
            await self._preparer.book.load(wanted)

    async def start(self, plans: Sequence[Rerun | Republish]) -> list[Redriven | Permanent]:
        reruns = [plan for plan in plans if isinstance(plan, Rerun)]
        records = [plan for plan in plans if isinstance(plan, Republish)]
        answers = iter(await self._letters.rerun(reruns) if reruns else [])
        others = iter(await self._letters.republish(records) if records else [])
        return [next(answers if isinstance(plan, Rerun) else others) for plan in plans]

    def plan(
        self, letter: Letter, order: Order, found: Found, due: datetime, estimator: Estimator
    ) -> Rerun | Republish:
        """Raises InvalidRequest when this letter cannot be redriven so."""
        if letter.redriven_at is not None:
            run = f" as run {letter.redriven_run}" if letter.redriven_run else ""
            raise InvalidRequest("invalid_request", f"it was redriven before{run}")
        if letter.of_a_run:
            call = next_call(letter, order.edit, found.originals.get(letter.letter), self._preparer, self._clock())
            estimator.add_call(call)
            return Rerun(
                letter.letter, call.tenant, call.id, letter.run or 1, call.encode(), call.lane,
                call.on_unknown_outcome == "fail", body_hash_of(call), due,
            )  # fmt: skip
        if order.wanted.tenant is not None and not is_requests(letter.topic):
            raise InvalidRequest("invalid_request", "only the operator redrives what a sink refused")
        value = self._record(letter, order.edit, found)
        _price(kept(letter).value if value is None else value, estimator)
        later = _MENDED_AFTER if letter.code == "unknown_tenant" else timedelta(0)
        return Republish(letter.letter, letter.tenant, due + later, value)

    def _record(self, letter: Letter, edit: Edit, found: Found) -> bytes | None:
        """What to publish instead of the record as it came, if anything. Raises InvalidRequest."""
        if (request := found.requests.get(letter.letter)) is not None:
            if isinstance(request, InvalidRequest):
                raise request
            return edited(encoded(request), edit)
        if letter.topic not in _TOPICS and not is_requests(letter.topic):
            raise InvalidRequest("invalid_request", f"its topic {letter.topic!r} is none of ours")
        return next_record(letter, edit)


@dataclass(slots=True)
class _Chunk:
    """Some letters of an order."""

    redriver: Redriver
    order: Order
    report: Report
    estimator: Estimator
    now: datetime

    async def work(self, batch: Sequence[Letter]) -> None:
        report, order = self.report, self.order
        report.matched += len(batch)
        originals = await self.redriver.originals(batch, order.edit)
        requests = await self.redriver.remapping.requests(batch)
        await self.redriver.load(batch, order.edit)
        plans = list(self._plans(batch, Found(originals, requests)))
        if order.dry_run:
            report.redriven += len(plans)
            return
        for plan, answer in zip(plans, await self.redriver.start(plans), strict=True):
            if answer is Redriven.STARTED:
                report.redriven += 1
            else:
                said = str(answer) if isinstance(answer, Permanent) else _SAID[answer]
                report.skipped.append((plan.letter, said))

    def _plans(self, batch: Sequence[Letter], found: Found) -> Iterable[Rerun | Republish]:
        planned = 0
        for letter in batch:
            due = self.now + _after(self.report.redriven + planned, self.order.per_second)
            try:
                yield self.redriver.plan(letter, self.order, found, due, self.estimator)
                planned += 1
            except InvalidRequest as error:
                self.report.skipped.append((letter.letter, str(error)))


def _after(count: int, per_second: float) -> timedelta:
    return timedelta(seconds=count / per_second)


def _price(record: bytes, estimator: Estimator) -> None:
    """What is no request yet has no price."""
    try:
        estimator.add(read_request(record))
    except (Unreadable, Tombstone):
        return
