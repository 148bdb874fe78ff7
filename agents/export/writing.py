"""One object in the making: what is durable of it is in the ledger before more is read."""

from dataclasses import replace

from agents.export.holding import Hold
from domain.errors import Permanent
from domain.exports.job import LEAST_PART, MOST_PARTS, PART
from domain.ports import Files


class TooLarge(Permanent):
    """S3 takes no more parts."""


class Writing:
    """`hold` has the progress; without `marks` nobody goes on from the middle, and it only tells how far it is.

    Bytes collect until they are a part, with enough behind it for a part of its own. So at most PART + LEAST_PART bytes
    wait, and wherever a reading ends there can be a mark.
    """

    def __init__(self, files: Files, hold: Hold, key: str, marks: bool) -> None:
        self._files = files
        self._hold = hold
        # an upload that goes on is that of the key it was begun with
        self.key = hold.progress.key if hold.progress.upload and hold.progress.key else key
        self._marks = marks
        self._parts = list(hold.progress.parts)
        self._waiting = bytearray()
        self._size = hold.progress.bytes

    async def add(self, piece: bytes) -> None:
        """Raises StoreTrouble, Lost, TooLarge."""
        self._waiting += piece
        self._size += len(piece)
        while len(self._waiting) >= PART + LEAST_PART:
            await self._send(PART)

    async def mark(self, rows: int, last: str) -> None:
        """What was added ends with the row `last`: the ledger is told where that is durable. Raises as `add`."""
        if len(self._waiting) >= LEAST_PART:
            await self._send(len(self._waiting))
            done = replace(self._hold.progress, rows=rows, after=last, bytes=self._size, parts=tuple(self._parts))
            await self._hold.keep(done)

    async def finish(self) -> int:
        """The object is there, with so many bytes. Raises as `add`."""
        upload = self._hold.progress.upload
        if upload is None:
            await self._hold.keep(replace(self._hold.progress, key=self.key))
            await self._files.put(self.key, bytes(self._waiting))
            return self._size
        if self._waiting:
            await self._send(len(self._waiting))
        await self._hold.keep(self._hold.progress)
        await self._files.finish(self.key, upload, self._parts)
        return self._size

    async def _send(self, size: int) -> None:
        if len(self._parts) >= MOST_PARTS:
            raise TooLarge(f"the file would be larger than {MOST_PARTS * PART >> 30} GiB; export shorter times")
        body = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._parts.append(await self._files.part(self.key, await self._upload(), len(self._parts) + 1, body))
        if not self._marks:
            await self._hold.keep(replace(self._hold.progress, bytes=self._size - len(self._waiting)))

    async def _upload(self) -> str:
        upload = self._hold.progress.upload
        if upload is None:
            upload = await self._files.begin(self.key)
            await self._hold.keep(replace(self._hold.progress, key=self.key, upload=upload))
        return upload
