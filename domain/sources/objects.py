"""A bucket's prefix as a source: which objects, which rows, and how each row is named. Pure."""

import csv
import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

import orjson

LARGEST = 256 * 1024 * 1024
"""Bytes of an object, before and after gzip: it is read as a whole."""
LOOK_BACK = 1_000
"""Objects that are looked at again where they come in order: writers are not in step, and some keys come late."""
TOO_LARGE = b"an object that is larger than 256 MiB, or that gzip cannot read"


@dataclass(frozen=True, slots=True)
class Prefix:
    """Where objects arrive, looked at every `every_s` seconds. Without an endpoint AWS, without keys its chain.

    in_order: new ones come behind the old ones, but for the last `LOOK_BACK`; those before are not looked at again.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    every_s: float = 30.0
    in_order: bool = False

    @property
    def topic(self) -> str:
        """In the place of a topic."""
        return f"s3.{self.bucket}"


@dataclass(frozen=True, slots=True)
class Found:
    """An object as the bucket lists it; `version` changes with its bytes."""

    key: str
    version: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How many rows of that version of an object are requests, and whether those are all."""

    version: str
    rows: int
    done: bool


def rows(key: str, body: bytes, start: int) -> Iterator[bytes]:
    """From the row `start` on, each as JSON: rows of `.csv` by the names in its first line, lines of all others; `.gz`
    behind either is unpacked. What cannot be read is one row that is not JSON.
    """
    plain = _plain(key, body)
    if plain is None:
        return islice(iter([TOO_LARGE]), start, None)
    every = _csv(plain) if key.removesuffix(".gz").lower().endswith(".csv") else _lines(plain)
    return islice(every, start, None)


def place(key: str, version: str, row: int) -> tuple[int, int]:
    """(partition, offset) of a row: the same for the same bytes under the same key, another for any other."""
    digest = hashlib.sha256(f"{key}\0{version}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1, (int.from_bytes(digest[4:8], "big") << 31) | row


def _plain(key: str, body: bytes) -> bytes | None:
    if len(body) > LARGEST:
        return None
    if not key.endswith(".gz"):
        return body
    unpacker, plain = zlib.decompressobj(wbits=31), b""
    try:
        while body:  # members behind one another, as gzip allows
            plain += unpacker.decompress(body, LARGEST + 1 - len(plain))
            if len(plain) > LARGEST or not unpacker.eof:
                return None
            body, unpacker = unpacker.unused_data, zlib.decompressobj(wbits=31)
    except zlib.error:
        return None
    return plain


def _lines(plain: bytes) -> Iterator[bytes]:
    return (line for line in (raw.strip() for raw in io.BytesIO(plain)) if line)


def _csv(plain: bytes) -> Iterator[bytes]:
    reader = csv.DictReader(io.StringIO(plain.decode("utf-8-sig", "replace"), newline=""), restkey="_more")
    while True:
        try:
            found = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield f"a row that is no CSV: {error}".encode()
            return
        yield orjson.dumps(found)
