"""How far each partition is carried into streams of a destination that counts what it took. Pure.

A stream takes rows at its end only and says how many it has once it is closed. The book beside it says to which offset
of Kafka a number of rows belongs; rows behind that are counted again from the records (docs/decisions/0038).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Mark:
    """What the book says of one partition.

    stream:   the stream that its rows go to
    born:     which table that was: one of the same name that was made anew holds nothing of this
    offset:   every record below is in the table, or is no row
    rows:     rows of the stream that belong to records below `offset`
    refused:  reason by offset of records below that the destination refused, in the last batch
    """

    stream: str
    born: str
    offset: int = 0
    rows: int = 0
    refused: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A mark to be kept, if the stream that the book has so far is `before` (empty: none)."""

    mark: Mark
    before: str


@dataclass(slots=True)
class Track:
    """One partition as its process sees it.

    before:   the stream that the book has
    surplus:  rows that the stream had beyond the mark when it was closed: the first from `offset` on
    sure:     the record at `offset` was seen, so that they are known to be those
    """

    mark: Mark
    before: str
    is_open: bool = False
    surplus: int = 0
    sure: bool = False

    def rest(self, rows: Sequence[tuple[int, bytes]]) -> Sequence[tuple[int, bytes]]:
        """Of (offset, row) in order: those that the table lacks. Takes the surplus off, and moves the mark over it."""
        rows = [one for one in rows if one[0] >= self.mark.offset]
        if rows and not self.sure:
            if rows[0][0] != self.mark.offset:
                # the book is older than what was committed (it came out of a backup): a row twice is better than none
                self.surplus = 0
            self.sure = True
        there = min(self.surplus, len(rows))
        if there:
            self.surplus -= there
            self.move(rows[there - 1][0] + 1, there)
        return rows[there:]

    def forget_refused(self, offset: int) -> dict[int, str]:
        """Reasons below `offset` are on the dead letters by now; those that are left."""
        left = {known: reason for known, reason in self.mark.refused.items() if known >= offset}
        self.mark = replace(self.mark, refused=left)
        return left

    def move(self, offset: int, rows: int = 0, refused: Mapping[int, str] | None = None) -> None:
        """Everything below `offset` is done, with so many more rows."""
        mark, known = self.mark, self.mark.refused if refused is None else refused
        self.mark = replace(mark, offset=max(mark.offset, offset), rows=mark.rows + rows, refused=known)

    def begin(self, stream: str, offset: int) -> None:
        """Go on in a stream that is new and empty, with the row of `offset`."""
        self.mark = replace(self.mark, stream=stream, offset=offset, rows=0)
        self.is_open = True

    @property
    def entry(self) -> Entry:
        return Entry(self.mark, self.before)


def found(mark: Mark | None, born: str, rows: int | None) -> Track:
    """Where to go on. `rows` are those of the closed stream; None where it is gone, and nothing can be counted."""
    if mark is None:
        return Track(Mark("", born), "")
    if mark.born != born:
        return Track(Mark("", born), mark.stream)
    return Track(mark, mark.stream, surplus=0 if rows is None else max(0, rows - mark.rows))
