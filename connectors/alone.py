"""Loading a library without those of its companions that nothing here has a use for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """In it these are not installed, so that a library which takes them where they are goes without.

    pandas, pyarrow and numpy have 130 MB of memory together, also where nobody calls them. Where one of them was loaded
    before, nothing is hidden: others have a use for it, and a library that found half of them would break.
    """
    hidden = names if sys.modules.keys().isdisjoint(names) else ()
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to say that there is none
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
