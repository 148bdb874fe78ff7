"""How a long-running process of ours uses its interpreter and its memory: what is set once, when it starts."""

import ctypes
import gc
import sys
from contextlib import suppress

_M_ARENA_MAX = -8
"""mallopt(3) of the GNU C library, malloc.h."""


def calm_collector() -> None:
    """Once everything is set up: it stays, and the thousands of objects in flight after it are alive, in no cycle.

    By default walking them takes a quarter of infer's CPU and a sixth of the API's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


def take_turns_quickly() -> None:
    """The event loop gives up the interpreter's lock at every socket call, and requests wait for other threads (Kafka's
    client, the server) more than once: none may keep the lock for the 5 ms of the default."""
    sys.setswitchinterval(0.0005)


def one_arena() -> None:
    """Before there are threads: each would take an arena of its own, and keep there what it once needed.

    10 MB less in the S3 sink. Other C libraries have no arenas, and nothing to set.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
