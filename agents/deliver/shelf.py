"""Which sources are to run: those of the file, and those that operators made over HTTP, as they are now."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from agents.deliver.condition import Condition
from agents.deliver.keeping import Wanted
from domain.errors import Permanent, Transient
from domain.ports import SourceFile, SourceStore
from domain.sources.model import Source, Wrong, circles
from domain.sources.stored import Stored, opened

Entry = Callable[[], Source | None]
"""Gives a source when it is to be carried, None for the results. Raises Permanent where it cannot be opened."""
OUTPUTS = "source-outputs"
log = structlog.get_logger("sources")


class Shelf:
    """`file` wins where both have a name. `pepper` opens secrets; it is asked for when one has some.

    outputs: of every source that there is, the topic that its results go to; changed in place.
    """

    def __init__(
        self,
        file: SourceFile,
        store: SourceStore,
        pepper: Callable[[], bytes],
        carry: Callable[[Entry, Condition], Awaitable[None]],
        condition: Condition,
    ) -> None:
        self._file = file
        self._store = store
        self._pepper = pepper
        self._carry = carry
        self._condition = condition
        self._all: Sequence[Stored] = ()
        self.outputs: dict[str, str | None] = {}
        self._note()

    async def turn(self) -> Sequence[Wanted]:
        """What is to run now; while PostgreSQL is away or the file is wrong, what was."""
        await self.follow()
        try:
            await self.look()
        except Transient as error:
            self._condition.troubled("look", f"sources made over HTTP: {error}")
            log.warning("sources_unknown", reason=str(error))
        return self.wanted()

    async def follow(self) -> None:
        """See whether the file was changed."""
        await asyncio.to_thread(self._file.look)
        if self._file.wrong is None:
            self._condition.well("file")
        else:
            self._condition.troubled("file", self._file.wrong)
        self._note()

    async def look(self) -> None:
        """Read what is stored. Raises Transient."""
        self._all = await self._store.all()
        self._condition.well("look")
        self._note()

    @property
    def _stored(self) -> list[Stored]:
        return [one for one in self._all if one.name not in self._file.sources]

    def wanted(self) -> list[Wanted]:
        """By what was last read."""
        file = self._file.sources
        topics = {name: (one.topic, one.output) for name, one in file.items()}
        topics |= {one.name: (one.fields.get("topic"), one.fields.get("output")) for one in self._stored}
        wrong = circles(topics)
        found = [self._of_file(one) for one in file.values() if one.topic or one.bucket]
        found += [
            self._of_http(one, wrong.get(one.name))
            for one in self._stored
            if one.fields.get("topic") or one.fields.get("bucket")
        ]
        if any(self.outputs.values()):
            vital = any(one.output and self._file.is_of_start(one.name) for one in file.values())
            found.append(Wanted(OUTPUTS, None, lambda condition: self._carry(lambda: None, condition), vital))
        return found

    def _note(self) -> None:
        """In place: whoever copies results looks into it."""
        outputs = {one.name: one.fields.get("output") for one in self._stored}
        outputs |= {name: one.output for name, one in self._file.sources.items()}
        for name in self.outputs.keys() - outputs.keys():
            del self.outputs[name]
        self.outputs.update(outputs)

    def _of_file(self, source: Source) -> Wanted:
        """One that was there at the start ends the process by its fault; one that came later is told of."""
        vital = self._file.is_of_start(source.name)
        return Wanted(f"source-{source.name}", source, lambda condition: self._carry(lambda: source, condition), vital)

    def _of_http(self, stored: Stored, wrong: str | None) -> Wanted:
        def entry() -> Source:
            if wrong is not None:
                raise Permanent(wrong)
            try:
                return opened(stored, self._pepper() if stored.sealed else b"")
            except Wrong as error:
                raise Permanent(f"{error}; PUT the source again") from None

        mark = (stored, wrong)
        return Wanted(f"source-{stored.name}", mark, lambda condition: self._carry(entry, condition))
