"""Dead letters in this process: the twin of connectors/postgres/letters.py on the shared store."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.memory.store import MemoryStore, Request, StoredLetter, Wait, refusal
from domain.errors import Permanent
from domain.ledger.model import Claim, Source, State
from domain.letters.model import Letter, Redriven, Republish, Rerun, Wanted

_CLAIM = timedelta(seconds=30)
_MARK = "redriven:"
"""Before the topic of a redriven request's source: its record is another source from now on (rule L2)."""


class MemoryLetters:
    """Implements domain.ports.Letters over `store`; `now` is the store's clock."""

    def __init__(self, store: MemoryStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def store(self, batch: Sequence[Letter]) -> None:
        for one in batch:
            row = self._store.letters.setdefault((one.tenant or "", one.letter), StoredLetter(one))
            row.letter = replace(row.letter, last_seen=max(row.letter.last_seen, one.last_seen))

    async def page(self, wanted: Wanted, limit: int, before: tuple[datetime, str] | None) -> list[Letter]:
        found = [row.letter for row in self._store.letters.values() if _is_wanted(row.letter, wanted)]
        found.sort(key=_place, reverse=True)
        rest = [one for one in found if before is None or _place(one) < before]
        return [replace(one, body=None) for one in rest[:limit]]

    async def get(self, tenant: str | None, letters: Sequence[str]) -> list[Letter]:
        found = [row.letter for row in self._store.letters.values() if row.letter.letter in letters]
        return sorted((one for one in found if tenant in (None, one.tenant)), key=_place, reverse=True)

    async def sources(self, keys: Sequence[tuple[str, str]]) -> list[Source | None]:
        rows = [self._store.requests.get(key) for key in keys]
        return [None if row is None else _original(row.source) for row in rows]

    async def rerun(self, batch: Sequence[Rerun]) -> list[Redriven | Permanent]:
        return [refusal(one.tenant, one.id, one.lane) or self._rerun(one) for one in batch]

    async def republish(self, batch: Sequence[Republish]) -> list[Redriven | Permanent]:
        return [self._republish(one) for one in batch]

    async def due(self, limit: int) -> list[tuple[Letter, bytes | None]]:
        now = self._now()
        rows = [(row.publish_at, key, row) for key, row in self._store.letters.items() if row.publish_at is not None]
        found = sorted((at, key) for at, key, _ in rows if at <= now)[:limit]
        due = [self._store.letters[key] for _, key in found]
        for row in due:
            row.publish_at = now + _CLAIM
        return [(row.letter, row.value) for row in due]

    async def published(self, letters: Sequence[Letter]) -> None:
        for one in letters:
            row = self._store.letters[one.tenant or "", one.letter]
            row.publish_at = row.value = None

    def _rerun(self, one: Rerun) -> Redriven:
        key, now = (one.tenant, one.id), self._now()
        row = self._store.requests.get(key)
        claim = Claim(
            one.tenant, one.id, row.body_hash if row else one.body_hash, _redriven(row, one.run), one.call, one.lane,
            now, fail_on_unknown=one.fail_on_unknown,
        )  # fmt: skip
        if row is None:
            row = self._store.requests[key] = Request.claimed(claim, now)
            row.run = one.run  # forgotten meanwhile: it begins with the run before
        elif row.run != one.run:
            return Redriven.BEFORE if row.run > one.run else Redriven.NOT_FAILED
        elif row.state not in (State.FAILED, State.REJECTED) or row.emitted_at is None:
            return Redriven.NOT_FAILED
        row.restart(claim, now)
        row.state = State.WAITING
        self._store.waiting[key] = Wait(row.run, row.epoch, one.not_before, "redrive", one.lane)
        stored = self._store.letters.get((one.tenant, one.letter))
        if stored is not None:
            stored.letter = replace(stored.letter, redriven_at=now, redriven_run=row.run)
        return Redriven.STARTED

    def _republish(self, one: Republish) -> Redriven:
        row = self._store.letters.get((one.tenant or "", one.letter))
        if row is None or row.letter.redriven_at is not None:
            return Redriven.BEFORE
        row.letter = replace(row.letter, redriven_at=self._now())
        row.publish_at, row.value = one.not_before, one.value
        return Redriven.STARTED


def _redriven(row: Request | None, run: int) -> Source:
    if row is None:
        return Source(_MARK, 0, run)
    return replace(row.source, topic=_MARK + row.source.topic.removeprefix(_MARK))


def _original(source: Source) -> Source | None:
    topic = source.topic.removeprefix(_MARK)
    return replace(source, topic=topic) if topic else None


def _place(letter: Letter) -> tuple[datetime, str]:
    return letter.last_seen, letter.letter


def _is_wanted(letter: Letter, wanted: Wanted) -> bool:
    named = (wanted.tenant, wanted.code, wanted.id, wanted.stage)
    said = (letter.tenant, letter.code, letter.id, letter.stage)
    if any(asked not in (None, one) for asked, one in zip(named, said, strict=True)):
        return False
    if wanted.since is not None and letter.last_seen < wanted.since:
        return False
    if wanted.until is not None and letter.last_seen >= wanted.until:
        return False
    if wanted.redriven is not None and (letter.redriven_at is not None) != wanted.redriven:
        return False
    return wanted.letters is None or letter.letter in wanted.letters
