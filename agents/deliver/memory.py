"""How a sink's process uses the memory that it has: batches come and go, each of tens of thousands of small pieces."""

import ctypes
import gc
from contextlib import suppress

_M_ARENA_MAX = -8
"""mallopt(3) of the GNU C library, malloc.h."""


def one_arena() -> None:
    """Before there are threads: each would take an arena of its own, and keep there what it once needed.

    10 MB less in the S3 sink. Other C libraries have no arenas, and nothing to set.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def calm_collector() -> None:
    """What the imports made stays; a batch makes tens of thousands of objects, and none of them in a cycle."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
