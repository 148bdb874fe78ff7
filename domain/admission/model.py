"""What a rate limit is and what it answers. No I/O."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """`per_minute` events on average, `burst` of them at once. `key` starts with the tenant (`acme`, `acme/key/k1`)."""

    key: str
    per_minute: int
    burst: int


@dataclass(frozen=True, slots=True)
class Charge:
    """One event asks to pass all of `limits`. With `reject` nothing is spent unless it may pass now."""

    limits: tuple[Limit, ...]
    reject: bool = False
