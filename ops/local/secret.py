"""Passwords of the embedded engines: made once, kept in the data directory."""

import secrets
from pathlib import Path


def kept_secret(path: Path) -> str:
    """The secret in `path` (mode 0600, hexadecimal, 128 bit), made on the first call."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(16))
    return path.read_text().strip()
