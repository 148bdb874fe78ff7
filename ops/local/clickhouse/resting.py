"""While nothing is asked of the engine, the pages of its library are given back.

Its start and each new kind of statement touch the code for it, some 240 MB of a library of 560, which stay resident
though they are needed once. Given back they cost nothing until they are needed again, from the page cache.
"""

import asyncio
import ctypes
import mmap
import re
import time
from collections.abc import Iterator
from pathlib import Path

QUIET_S = 3.0
_MAPS = Path("/proc/self/smaps")
_HEAD = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (r.{3}) .*/chdb/[^/]+\.so$")


class Resting:
    """Told of every statement; gives back once after each time in which some came."""

    def __init__(self) -> None:
        self._used_at = time.monotonic()
        self._rested = False

    def used(self) -> None:
        self._used_at, self._rested = time.monotonic(), False

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if not self._rested and time.monotonic() - self._used_at >= QUIET_S:
                self._rested = True
                give_back()


def give_back() -> None:
    """Nothing where the system does not tell what is mapped."""
    if not _MAPS.exists():
        return
    libc = ctypes.CDLL(None)
    for start, end in list(_of_the_file(_MAPS.read_text())):
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def _of_the_file(maps: str) -> Iterator[tuple[int, int]]:
    """Mappings of the library whose bytes are those of the file: not writable, nor written to while it was loaded."""
    here: tuple[int, int] | None = None
    for line in maps.splitlines():
        if (found := _HEAD.match(line)) is not None:
            here = None if "w" in found[3] else (int(found[1], 16), int(found[2], 16))
        elif line.startswith("Anonymous:"):
            if here is not None and line.split()[1] == "0":
                yield here
            here = None
