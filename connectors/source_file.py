"""The operator's file of sources, followed: what it says now, or said when it was last right."""

from collections.abc import Mapping
from pathlib import Path

import structlog

from connectors.catalog import with_key_files
from domain.errors import InvalidSettings
from domain.sources import model
from domain.sources.model import Source

log = structlog.get_logger("sources")
VARIABLE = "STRUCTURED_PROMPT_SOURCES"


class FollowedFile:
    """Implements domain.ports.SourceFile. Read at once: raises InvalidSettings with everything that is wrong.

    path: None where there is no file. environ: of the process; a change of it needs a start.
    """

    def __init__(self, path: str | None, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = environ
        self._read_at = self._seen = _mark(path)
        self._sources = self._read()
        self._first = dict(self._sources)
        self._wrong: str | None = None

    @property
    def sources(self) -> Mapping[str, Source]:
        return self._sources

    @property
    def wrong(self) -> str | None:
        return self._wrong

    def is_of_start(self, name: str) -> bool:
        return name in self._first and self._first[name] == self._sources.get(name)

    def look(self) -> None:
        mark, before = _mark(self._path), self._seen
        self._seen = mark
        # one that is the same at two looks is whole: nobody is writing it any more
        if mark == self._read_at or mark != before:
            return
        self._read_at = mark
        try:
            self._sources, self._wrong = self._read(), None
        except InvalidSettings as error:
            self._wrong = f"{error}; until that is mended, what the file said before holds"
            log.warning("sources_file_is_wrong", file=self._path, reason=str(error))
        else:
            log.info("sources_file_is_read", file=self._path, sources=sorted(self._sources))

    def _read(self) -> dict[str, Source]:
        if self._path is None:
            return {}
        try:
            text = Path(self._path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSettings(f"{VARIABLE}: cannot read {self._path}: {error}") from error
        return model.load(text, with_key_files(self._environ, model.secret_names(text)))


def _mark(path: str | None) -> tuple[int, int, int] | None:
    """Another where the file was written or replaced, None where it is not there. A mounted file that is a link to the
    present one, as Kubernetes makes them, is another inode then."""
    if path is None:
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
