"""The places that the operator lets documents be read from: hosts, buckets, and paths in them. Pure."""

import re
from dataclasses import dataclass
from typing import Self

from domain.errors import ForbiddenAddress
from domain.outgoing.urls import parse

TENANT = "{tenant}"
_A_TENANT = "~a~tenant~"
_BUCKET = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>[^\x00-\x1f\x7f]{0,1024})")
_DOTS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)|//|\\|%2f|%5c", re.IGNORECASE)
"""Path segments that some server reads as another place."""


@dataclass(frozen=True, slots=True)
class Place:
    """`host` is a name, `*.` and a name, or a bucket; `prefix` is a path, in which `{tenant}` is the tenant's name."""

    scheme: str
    host: str
    port: int
    prefix: str

    def holds(self, other: "Place", tenant: str) -> bool:
        """Whether the document `other` (its path as prefix) is in this place."""
        if (other.scheme, other.port) != (self.scheme, self.port):
            return False
        below = self.host.removeprefix("*")
        if not (other.host == self.host or (below != self.host and other.host.endswith(below))):
            return False
        return other.prefix.startswith(self.prefix.replace(TENANT, tenant)) and not _DOTS.search(other.prefix)


@dataclass(frozen=True, slots=True)
class Places:
    """Nothing is read where there are none."""

    places: tuple[Place, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From addresses separated by commas. Raises ValueError naming the one at fault."""
        return cls(tuple(_allowed(one) for one in filter(None, (part.strip() for part in text.split(",")))))

    def hold(self, url: str, tenant: str) -> bool:
        """Whether a request of `tenant` may have the document at `url` read here."""
        if not self.places or (document := _place(url)) is None or (document.scheme == "s3" and document.prefix == "/"):
            return False
        return any(place.holds(document, tenant) for place in self.places)

    def __bool__(self) -> bool:
        return bool(self.places)

    @property
    def buckets(self) -> bool:
        return any(place.scheme == "s3" for place in self.places)


def bucket_and_key(url: str) -> tuple[str, str] | None:
    """Of `s3://bucket/key`; the key is taken as it is written, nothing in it is decoded."""
    found = _BUCKET.fullmatch("s3" + url[2:] if url[:5].lower() == "s3://" else url)
    return (found["bucket"], found["key"]) if found else None


def _place(url: str) -> Place | None:
    if url[:5].lower() == "s3://":
        found = bucket_and_key(url)
        return Place("s3", found[0], 0, "/" + found[1]) if found else None
    try:
        target = parse(url)
    except ForbiddenAddress:
        return None
    return Place(target.scheme, target.host, target.port, target.path)


def _allowed(text: str) -> Place:
    wild = "://*." in text
    plain = text.replace("://*.", "://", 1).replace(TENANT, _A_TENANT)
    place = _place(plain if plain.count("/") > 2 else plain + "/")
    if place is None or "?" in text or "#" in text or _DOTS.search(place.prefix) or (wild and place.scheme == "s3"):
        raise ValueError(
            f"{text!r} is no place: write https://host/path/, https://*.example.com/ or s3://bucket/prefix/{{tenant}}/"
        )
    prefix = place.prefix.replace(_A_TENANT, TENANT)
    host = f"*.{place.host}" if wild else place.host
    return Place(place.scheme, host, place.port, prefix if prefix.endswith("/") else prefix + "/")


NOWHERE = Places()
"""Nothing is read."""
