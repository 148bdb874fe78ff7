"""A file of sources for the embedded stack (`up --sources FILE`)."""

from collections.abc import Mapping
from pathlib import Path

from domain.errors import InvalidSettings
from domain.sources.model import load, secret_names

from .program import StackError


def source_settings(path: Path | None, caller: Mapping[str, str]) -> dict[str, str]:
    """What processes need of it: the file, and the secrets that it names, which nothing else of the caller's is. Empty
    without a file. Raises StackError.
    """
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        named = {name: caller[name] for name in secret_names(text) if name in caller}
        load(text, named)
    except (OSError, UnicodeDecodeError, InvalidSettings) as error:
        raise StackError(f"--sources {path}: {error}") from error
    return {"STRUCTURED_PROMPT_SOURCES": str(path), **named}
