"""Dead letters of sources, mapped again by their sources as they are now."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from domain.errors import InvalidRequest, Permanent, Transient
from domain.feeding.letters import event_of, mapped, source_of, unmapped
from domain.letters.model import Letter
from domain.ports import Decoder, Item, SourceStore
from domain.sources.mapping import Unmappable
from domain.sources.model import Source, Wrong
from domain.sources.stored import opened

Remapped = dict[str, dict[str, Any] | InvalidRequest]
"""By the name of the letter: the fields of its request, or why there is none."""


class Remapping:
    """find: the source of that name, None where there is none; raises Permanent, Wrong, Transient. decoder: what reads
    its records; raises MissingExtra.
    """

    def __init__(self, find: Callable[[str], Awaitable[Source | None]], decoder: Callable[[Source], Decoder]) -> None:
        self._find = find
        self._decoder = decoder

    async def requests(self, letters: Sequence[Letter]) -> Remapped:
        """Of those that are of sources. Raises Unavailable where what is stored of sources cannot be read."""
        by_source = defaultdict[str, list[Letter]](list)
        for letter in letters:
            if (name := source_of(letter)) is not None and letter.redriven_at is None:
                by_source[name].append(letter)
        found: Remapped = {}
        for name, own in by_source.items():
            found |= await self._of(name, own)
        return found

    async def _of(self, name: str, letters: Sequence[Letter]) -> Remapped:
        try:
            source = await self._find(name)
            decoder = None if source is None else self._decoder(source)
        except (Permanent, Wrong) as error:
            refused = InvalidRequest("invalid_request", f"its source {name!r} cannot be opened here: {error}")
            return {letter.letter: refused for letter in letters}
        if source is None or decoder is None:
            gone = (
                f"its source {name!r} is gone, or of a file that STRUCTURED_PROMPT_SOURCES does not name here: make it "
                "again, name the file, or send the event again where it came from"
            )
            return {letter.letter: InvalidRequest("invalid_request", gone) for letter in letters}
        try:
            return {letter.letter: await _one(source, decoder, letter) for letter in letters}
        finally:
            await decoder.close()


async def _one(source: Source, decoder: Decoder, letter: Letter) -> dict[str, Any] | InvalidRequest:
    try:
        item = event_of(letter)
        return mapped(source, item, await _decoded(source, decoder, item))
    except InvalidRequest as error:
        return error


async def _decoded(source: Source, decoder: Decoder, item: Item) -> Any:
    """Raises InvalidRequest."""
    try:
        await decoder.load([item.value])
        return decoder.decode(item.value)
    except Unmappable as error:
        raise unmapped(source.name, error) from None
    except Transient as error:
        raise InvalidRequest("invalid_request", f"its schema cannot be had now: {error}; try again") from None


def finder(
    file: Callable[[], Mapping[str, Source]], store: SourceStore, pepper: Callable[[], bytes]
) -> Callable[[str], Awaitable[Source | None]]:
    """Of the file, whose names win, and of those made over HTTP. `file` may raise InvalidSettings."""

    async def find(name: str) -> Source | None:
        of_file = file()
        if name in of_file:
            return of_file[name]
        stored = [one for one in await store.all() if one.name == name]
        return opened(stored[0], pepper() if stored[0].sealed else b"") if stored else None

    return find
