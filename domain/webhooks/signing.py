"""Standard Webhooks 1.0 (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).

A secret is kept nowhere: it is HMAC-SHA256(pepper, tenant, endpoint, salt), and the table holds the salt alone. A
stolen table signs nothing, as a stolen table of API keys opens nothing. A rotation is another salt.
"""

import hmac
import secrets
from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime, timedelta

from domain.webhooks.model import Due, Endpoint

PREFIX = "whsec_"
SALT_BYTES = 24
OLD_SECRET = timedelta(hours=24)
"""How long the secret before a rotation signs as well."""
CALLBACKS = "callbacks"
"""In the place of an endpoint's id: callbacks of a tenant are signed with one secret, whose salt is empty."""


def new_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


def secret_key(pepper: bytes, tenant: str, endpoint: str, salt: bytes) -> bytes:
    """The 32 bytes that sign."""
    return hmac.digest(pepper, b"\0".join((b"webhook", tenant.encode(), endpoint.encode(), salt)), "sha256")


def shown(key: bytes) -> str:
    """The secret as a receiver configures it."""
    return PREFIX + b64encode(key).decode()


def keys_of(pepper: bytes, due: Due, now: datetime) -> list[bytes]:
    """What signs this delivery now; the newest secret first."""
    tenant, target = due.key.tenant, due.target
    if target is None:
        return [secret_key(pepper, tenant, CALLBACKS, b"")]
    return [secret_key(pepper, tenant, target.id, salt) for salt in _salts(target, now)]


def headers(id: str, at: datetime, body: bytes, keys: Iterable[bytes]) -> dict[str, str]:
    """The three headers. `at` is the time of the attempt: a receiver refuses what is minutes old."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((id.encode(), timestamp.encode(), body))
    signatures = [b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _salts(target: Endpoint, now: datetime) -> list[bytes]:
    if target.old_salt is not None and target.old_until is not None and now < target.old_until:
        return [target.salt, target.old_salt]
    return [target.salt]
