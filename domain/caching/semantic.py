"""Answers to questions asked in other words: what a template allows, where they are kept, which to trust. Pure.

An answer is given to another wording only where everything that carries meaning is equal (guard.py), and the embeddings
of the two wordings are near enough. Everything that must be equal is part of the place where an answer is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import orjson

from domain.caching.guard import digest
from topics.call import PromptCall

MAX_TEXT = 2_000
"""Characters; what is longer is a document, which nobody asks about in other words."""
PROOF = 50
"""Checks that a judgement stands on."""
EMBEDDING = 0
"""The number of the attempt in the usage record of an embedding: calls to models count from 1."""


@dataclass(frozen=True, slots=True)
class Similar:
    """What a template says of it.

    vary:       variables that may be worded differently; all others must be equal
    always:     also requests that say nothing of the cache are answered so
    similarity: of the embeddings, at least (cosine)
    checked:    share of the hits that are called for all the same, and compared
    wrong:      share of wrong ones among the checked above which no hit is given any more
    compare:    fields of the answer that must be equal in a check; none: all of it
    """

    vary: tuple[str, ...]
    always: bool = False
    similarity: float = 0.5
    checked: float = 0.05
    wrong: float = 0.02
    compare: tuple[str, ...] = ()


def asked_so(rules: Similar | None, cache: str) -> bool:
    """Whether a request with this `cache` may be answered from, or fills, what is known in other words."""
    if rules is None or cache == "bypass":
        return False
    return rules.always or cache in ("semantic", "refresh")


def similar(rules: Similar, values: Mapping[str, Any], *shape: Any) -> dict[str, Any] | None:
    """What a call carries of it; None where its texts are none, or too long.

    values: the variables as they stand in the prompt. shape: what else must be equal (template, version, model,
    parameters, options, schema).
    """
    texts = [values.get(name) for name in rules.vary]
    if not all(isinstance(text, str) for text in texts) or not 0 < sum(map(len, texts)) <= MAX_TEXT:  # type: ignore[arg-type]
        return None
    slots = {name: value for name, value in values.items() if name not in rules.vary}
    partition = sha256(orjson.dumps([*shape, slots], option=orjson.OPT_SORT_KEYS)).hexdigest()
    bounds = {"similarity": rules.similarity, "checked": rules.checked, "wrong": rules.wrong}
    return {"texts": texts, "partition": partition, "compare": list(rules.compare), **bounds}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answer to a question is kept, and whose trust it is under. Both hashes are 32 bytes.

    partition: of everything that must be equal besides the wording; sense: of the wording (guard.digest).
    """

    tenant: str
    partition: bytes
    sense: bytes
    template: str
    version: int


def place(call: PromptCall, embeddings: str) -> Place:
    """Of a call with `similar`. embeddings: the name of the model; vectors of two models are not comparable."""
    said, template = call.similar or {}, call.template or {"name": "", "version": 0}
    partition = sha256(f"{embeddings} {said['partition']}".encode()).digest()
    return Place(call.tenant, partition, digest(said["texts"]), template["name"], template["version"])


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether something is known at a place, and whether hits of its template are not given at present."""

    known: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """An answer, how near its wording is (cosine), and the request that brought it: its cache key and tags."""

    similarity: float
    entry: bytes
    cache_key: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer on its way to its place, for `ttl` seconds; it takes the place of the one before."""

    place: Place
    vector: Sequence[float]
    known: Known
    ttl: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text as a vector, with its share of the tokens of the call that it came from."""

    vector: Sequence[float]
    tokens: int


@dataclass(frozen=True, slots=True)
class Check:
    """A hit that was called for all the same: whether the two answers agreed. `limit`: the template's `wrong`."""

    tenant: str
    template: str
    version: int
    agreed: bool
    limit: float


@dataclass(frozen=True, slots=True)
class Trust:
    """What the checks of a template's hits found, of late: older ones count for half.

    since: checks since it was closed.
    """

    tenant: str
    template: str
    version: int
    checked: int = 0
    wrong: int = 0
    closed: bool = False
    since: int = 0

    @property
    def false_hit_rate(self) -> float:
        return self.wrong / self.checked if self.checked else 0.0

    def after(self, check: Check) -> "Trust":
        """It closes once there are more wrong ones than `limit` of at least PROOF checks, and opens after PROOF
        further checks, every hit being one while it is closed, if the share is within the limit then."""
        checked, wrong = self.checked + 1, self.wrong + (not check.agreed)
        if checked >= 2 * PROOF:
            checked, wrong = checked // 2, wrong // 2
        since = self.since + 1 if self.closed else 0
        beyond = wrong > check.limit * max(checked, PROOF)
        closed = beyond or (self.closed and since < PROOF)
        return replace(self, checked=checked, wrong=wrong, closed=closed, since=since if closed else 0)


@dataclass(frozen=True, slots=True)
class Trusted:
    """The checks of all versions of a template, and which versions are closed."""

    checked: int
    wrong: int
    closed_versions: list[int]

    @property
    def false_hit_rate(self) -> float:
        return self.wrong / self.checked if self.checked else 0.0


def by_template(trusts: Sequence[Trust]) -> dict[str, Trusted]:
    """Of one tenant."""
    found: dict[str, Trusted] = {}
    for trust in trusts:
        before = found.get(trust.template) or Trusted(0, 0, [])
        closed = [*before.closed_versions, *([trust.version] if trust.closed else [])]
        found[trust.template] = Trusted(before.checked + trust.checked, before.wrong + trust.wrong, closed)
    return found


def agrees(known: Any, fresh: Any, compare: Sequence[str]) -> bool:
    """Whether two answers say the same: in these fields of an object, as a whole without them."""
    if compare and isinstance(known, dict) and isinstance(fresh, dict):
        return all(known.get(name) == fresh.get(name) for name in compare)
    if isinstance(known, str) and isinstance(fresh, str):
        return known.strip() == fresh.strip()
    return bool(known == fresh)


def shares(tokens: int, texts: Sequence[str]) -> list[int]:
    """The tokens of a call, dealt to its texts by their bytes, as what is held for each is; their sum is `tokens`."""
    sizes = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
    total, before = sum(sizes) or 1, 0
    dealt: list[int] = []
    for size in sizes:
        before += size
        dealt.append(tokens * before // total - sum(dealt))
    return dealt
