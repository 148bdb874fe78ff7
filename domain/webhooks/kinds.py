"""What a destination can be."""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["webhook", "zapier", "make", "s3"]
FLAT: tuple[Kind, ...] = ("zapier", "make")
"""Webhooks whose bodies are flat, for tools that map fields by their names."""
PER_OBJECT = 2_000
"""Deliveries in one object of a bucket, at most."""
NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A tenant's own, at AWS or at `endpoint` (http(s)://host:port); an object every `every_s` seconds at most."""

    name: str
    region: str
    access_key: str
    endpoint: str | None = None
    prefix: str = ""
    every_s: int = 60

    @property
    def url(self) -> str:
        return f"s3://{self.name}/{self.prefix}"

    @property
    def place(self) -> str:
        """Where it answers."""
        return self.endpoint or f"https://s3.{self.region}.amazonaws.com"
