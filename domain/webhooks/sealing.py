"""Credentials of tenants at rest: AES-256-GCM, its key from the pepper, bound to tenant and destination.

A stolen table holds nothing that opens a bucket, and a row that is moved to another destination does not open there.
Another pepper opens none of them: they must be given anew, as webhooks' secrets change with it.
"""

import hmac
import secrets
from typing import Any

from domain.errors import MissingExtra, Permanent

_VERSION = b"\x01"
_NONCE_BYTES = 12


def seal(pepper: bytes, tenant: str, id: str, plain: str) -> bytes:
    """Raises MissingExtra without cryptography."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + _cipher(pepper).encrypt(nonce, plain.encode(), _bound_to(tenant, id))  # type: ignore[no-any-return]


def unseal(pepper: bytes, tenant: str, id: str, sealed: bytes) -> str:
    """Raises Permanent where it was sealed with another pepper or for another place, MissingExtra."""
    nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    cipher = _cipher(pepper)
    try:
        found: bytes = cipher.decrypt(nonce, rest, _bound_to(tenant, id))
    except Exception as error:
        raise Permanent("the credentials cannot be opened with this STRUCTURED_PROMPT_KEY_PEPPER") from error
    return found.decode()


def _bound_to(tenant: str, id: str) -> bytes:
    return f"{tenant}\0{id}".encode()


def _cipher(pepper: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise MissingExtra("keeping credentials", "s3") from None
    return AESGCM(hmac.digest(pepper, b"credentials of destinations", "sha256"))
