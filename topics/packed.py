"""JSON in bytes that take no more room than they say."""

from collections.abc import Callable
from typing import Any

import orjson


def packed(value: Any, default: Callable[[Any], Any] | None = None, option: int | None = None) -> bytes:
    """For what is kept by the hundreds: orjson's own bytes stay as large as the 8 KiB or more it wrote into.

    default, option: orjson's. Raises TypeError on a value that JSON cannot hold.
    """
    return b"%b" % orjson.dumps(value, default, option)
