"""Who sent an event: Standard Webhooks 1.0 signatures (https://www.standardwebhooks.com), checked. Pure."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime

PREFIX = "whsec_"
TOLERANCE_S = 300
"""Seconds that an event may be old, or from the future; a copy of an older one is refused."""
LEAST_BYTES = 16


def keys(text: str) -> tuple[bytes, ...]:
    """Secrets separated by spaces or commas; several while one is replaced. Raises ValueError, without the secret."""
    found = []
    for secret in text.replace(",", " ").split():
        try:
            key = b64decode(secret.removeprefix(PREFIX), validate=True)
        except ValueError:
            raise ValueError(f"a secret is {PREFIX} and base64") from None
        if len(key) < LEAST_BYTES:
            raise ValueError(f"a secret has at least {LEAST_BYTES} bytes")
        found.append(key)
    if not found:
        raise ValueError("there is no secret in it")
    return tuple(found)


def objection(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: datetime) -> str | None:
    """Why an event is not from whom it should be, None where it is. Names of `headers` in lower case."""
    id, at, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not id or not at or not signatures:
        return "the headers webhook-id, webhook-timestamp and webhook-signature are needed (Standard Webhooks 1.0)"
    if not (at.isascii() and at.isdecimal() and len(at) <= 12) or abs(now.timestamp() - int(at)) > TOLERANCE_S:
        return f"the webhook-timestamp is not within {TOLERANCE_S // 60} minutes of now"
    signed = f"{id}.{at}.".encode() + body
    given = [one.removeprefix("v1,").encode() for one in signatures.split() if one.startswith("v1,")]
    right = [b64encode(hmac.digest(key, signed, "sha256")) for key in secrets]
    # every pair is compared, so that the time says nothing
    matches = [hmac.compare_digest(one, other) for one in given for other in right]
    return None if any(matches) else "no webhook-signature fits the body and a secret of this source"
