"""What may stand in the audit log: nothing that opens anything. Pure.

Whoever tells how an object stands leaves its secrets out (shown.py); this is the second lock, for what people put where
no secret belongs. An address keeps its host: what comes behind it is often the only secret of a hook.
"""

import hashlib
import re
from typing import Any
from urllib.parse import urlsplit

import orjson

MOST_BYTES = 16_384
"""Of the JSON of one state; more is told by its size and digest."""
_SECRET = re.compile(
    r"secret|password|passwd|token|credential|authorization|(?:^|_)(?:api|private|access|secret)_?key$"
)
_KEYS = re.compile(r"\b(?:sp_live|whsec|sk|pk|rk|ghp|xox[a-z])[_-][A-Za-z0-9+/=_-]{8,}|\bAKIA[0-9A-Z]{12,}")
_URL = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)


def safe(state: Any) -> Any:
    """The state without what looks like a secret, and small. Digests tell that one differs from another."""
    found = _safe(state)
    raw = orjson.dumps(found, option=orjson.OPT_SORT_KEYS)
    if len(raw) <= MOST_BYTES:
        return found
    return {"left_out_bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def mark(value: bytes) -> str | None:
    """Tells one secret from another, and neither; None for an empty one."""
    return hashlib.sha256(value).hexdigest()[:12] if value else None


def _safe(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _named(str(name), one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_safe(one) for one in value]
    return _KEYS.sub("…", _URL.sub(_host, value)) if isinstance(value, str) else value


def _named(name: str, value: Any) -> Any:
    if isinstance(value, str) and value and _SECRET.search(name.lower()):
        return "…"
    return _safe(value)


def _host(found: re.Match[str]) -> str:
    try:
        parts = urlsplit(found[0])
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "…"
    place = f"{parts.scheme}://{parts.hostname or ''}{port}"
    rest = found[0] not in (place, f"{place}/")
    return f"{place}/… ({mark(found[0].encode())})" if rest else found[0]
