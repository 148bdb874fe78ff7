"""A client that cannot reach its broker says so dozens of times a second, as long as it is away: a few are enough."""

import logging
from dataclasses import dataclass

MOST = 5
WINDOW_S = 10.0
_REMEMBERED = 500


@dataclass(slots=True)
class _Said:
    """How often something was said since `since`, and how many of these lines were left out."""

    since: float
    times: int = 0
    left_out: int = 0


class Repeats(logging.Filter):
    """Lets MOST lines of one text pass in WINDOW_S seconds; the next one says in `left_out` how many did not.

    For the standard library's loggers, which vendors use. A text is the template, without what is put into it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, int, str], _Said] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not isinstance(record.msg, str):
            return True  # ours, by structlog
        key = (record.name, record.levelno, record.msg)
        said = self._said.get(key)
        if said is None or record.created - said.since >= WINDOW_S:
            if said is not None and said.left_out:
                record.left_out = said.left_out
            said = self._begin(key, record.created)
        said.times += 1
        if said.times <= MOST:
            return True
        said.left_out += 1
        return False

    def _begin(self, key: tuple[str, int, str], now: float) -> _Said:
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        said = self._said[key] = _Said(now)
        return said
