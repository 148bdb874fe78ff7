"""Words and patterns that no prompt may hold: the content filter that ships. Others implement its port."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from domain.errors import InvalidSettings

MAX_PATTERNS = 1_000


class Blocklist:
    """Named patterns; `found` gives the name of the first that a prompt holds."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        """Raises ValueError for what is no regular expression."""
        self._patterns = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in patterns.items()}

    @classmethod
    def parse(cls, text: str) -> "Blocklist":
        """A YAML mapping of names to regular expressions. Raises InvalidSettings."""
        try:
            return cls(_patterns(yaml.safe_load(text) or {}))
        except (yaml.YAMLError, ValueError, re.error) as error:
            raise InvalidSettings(f"STRUCTURED_PROMPT_BLOCKLIST: {error}") from error

    def found(self, messages: Sequence[Mapping[str, Any]]) -> str | None:
        text = "\n".join(text for message in messages for text in texts(message["content"]))
        return next((name for name, pattern in self._patterns.items() if pattern.search(text)), None)


def _patterns(found: Any) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in (*found, *found.values())):
        raise ValueError("must map names to regular expressions")
    if len(found) > MAX_PATTERNS:
        raise ValueError(f"has {len(found)} patterns; {MAX_PATTERNS} are allowed")
    return found


def texts(content: Any) -> list[str]:
    """Every text of a message's content."""
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content if isinstance(part.get("text"), str)]
