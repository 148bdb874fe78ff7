"""API keys: `sp_live_<27 random base62 characters><6 characters of checksum>`.

The random part carries 160 bits. The checksum is the CRC-32 of everything before it in base62 (the scheme of
GitHub's tokens): a mistyped key is recognised without a look into the database, and secret scanners can tell a
real key from a look-alike. Stored is only HMAC-SHA256(pepper, key): a stolen table is useless without the pepper.
"""

import hmac
import secrets
import zlib
from dataclasses import dataclass, field
from datetime import datetime

from domain.accounts.model import ApiKey
from domain.accounts.scopes import ADMIN
from domain.errors import InvalidSettings

PREFIX = "sp_live_"
RANDOM_LENGTH = 27  # 27 * log2(62) = 160 bits
CHECKSUM_LENGTH = 6
LENGTH = len(PREFIX) + RANDOM_LENGTH + CHECKSUM_LENGTH
HINT_LENGTH = len(PREFIX) + 4
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MIN_PEPPER = 32


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key: `secret` is shown once and kept nowhere, `key` is what is stored."""

    secret: str = field(repr=False)
    key: ApiKey


def pepper(text: str) -> bytes:
    """The bytes keys are hashed with. Raises InvalidSettings when the secret is shorter than 32 characters."""
    if len(text) < _MIN_PEPPER:
        raise InvalidSettings(
            f"STRUCTURED_PROMPT_KEY_PEPPER has {len(text)} characters and needs at least {_MIN_PEPPER}; "
            "make one with `openssl rand -hex 32` and give every process the same"
        )
    return text.encode()


def generate() -> str:
    """A new secret."""
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM_LENGTH))
    return body + _checksum(body)


def well_formed(key: str) -> bool:
    """Whether this can be a key of ours: prefix, length, alphabet and checksum."""
    if len(key) != LENGTH or not key.startswith(PREFIX) or not key.isascii():
        return False
    return hmac.compare_digest(_checksum(key[:-CHECKSUM_LENGTH]), key[-CHECKSUM_LENGTH:])


def digest(pepper: bytes, key: str) -> bytes:
    """What is stored and looked up: 32 bytes."""
    return hmac.digest(pepper, key.encode(), "sha256")


def issue(tenant: str, name: str, pepper: bytes, at: datetime, scopes: tuple[str, ...] = (ADMIN,)) -> Issued:
    """A new key for `tenant`, with a public id (`key_…`, 64 random bits) that appears in results and usage."""
    secret = generate()
    key = ApiKey(
        id="key_" + secrets.token_hex(8),
        tenant=tenant,
        name=name,
        digest=digest(pepper, secret),
        hint=secret[:HINT_LENGTH],
        created_at=at,
        scopes=scopes,
    )
    return Issued(secret, key)


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
