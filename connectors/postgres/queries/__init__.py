"""The statements: one file a subject, each statement under its line `-- name: …`."""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(subject: str) -> dict[str, str]:
    """The statements of `<subject>.sql` by name."""
    text = (files(__name__) / f"{subject}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return dict(zip(parts[::2], (statement.strip() for statement in parts[1::2]), strict=True))
