"""A file of sources for the embedded stack (`up --sources FILE`)."""

from collections.abc import Mapping
from pathlib import Path

from domain.errors import InvalidSettings
from domain.sources.model import load, secret_names

from .program import StackError


def source_settings(path: Path | None, caller: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """What processes need of it: the file, and the secrets that it names, which nothing else of the caller's is. And
    whether there is anything to read: webhooks are served by the API. Raises StackError.
    """
    if path is None:
        return {}, False
    try:
        text = path.read_text(encoding="utf-8")
        named = {name: caller[name] for name in secret_names(text) if name in caller}
        found = load(text, named)
    except (OSError, UnicodeDecodeError, InvalidSettings) as error:
        raise StackError(f"--sources {path}: {error}") from error
    reads = any(source.topic or source.bucket for source in found.values())
    return {"STRUCTURED_PROMPT_SOURCES": str(path), **named}, reads
