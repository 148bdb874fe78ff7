"""Decides what one call is answered: rightly, or malformed on purpose. Deterministic in the call and its settings."""

import hashlib
from dataclasses import dataclass, replace

import orjson

from ops.local.provider.answers import answering
from ops.local.provider.calls import BadCall, Call, tokens
from ops.local.provider.control import Malformed, Settings
from ops.local.provider.malformed import KINDS, WIRE_KINDS, Answer, spoil
from ops.local.provider.schemas.filler import InvalidSchema


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a request: the id it came under (None when it named none) and how many calls of it there are.

    first_limit: the `max_tokens` of the first of them.
    """

    request_id: str | None
    number: int
    first_limit: int | None = None


def answer(call: Call, attempt: Attempt, settings: Settings) -> Answer:
    """The answer to a call. Raises BadCall for a schema or a simulated kind that does not exist."""
    right = _right(call)
    kind = malformed_kind(call, attempt, settings.malformed)
    given = spoil(kind, right) if kind else right
    return _shortened(given, call.max_tokens)


def malformed_kind(call: Call, attempt: Attempt, malformed: Malformed) -> str | None:
    """In which way to spoil the answer, None for a right one. Raises BadCall for a kind that does not exist."""
    kind, until_reasked = call.simulate, True
    if kind is None and malformed.share > 0:
        chance, choice = _draws(attempt.request_id or call.question)
        if chance >= malformed.share:
            return None
        kind, until_reasked = malformed.kinds[choice % len(malformed.kinds)], malformed.until_reasked
    if kind is None:
        return None
    if kind not in KINDS:
        raise BadCall(f"[[simulate: {kind}]] names no kind; there are {', '.join(KINDS)}.")
    reasked = call.reasked or (kind in WIRE_KINDS and attempt.number > 1)
    if kind == "length" and call.max_tokens is not None and attempt.first_limit is not None:
        # what was cut comes whole under a higher limit, and under no other
        reasked = reasked or call.max_tokens > attempt.first_limit
    return None if until_reasked and reasked else kind


def delay(attempt: Attempt, call: Call, settings: Settings) -> float:
    """Seconds to wait before the answer is sent."""
    mean, jitter = settings.latency_ms.mean, min(settings.latency_ms.jitter, settings.latency_ms.mean)
    if not jitter:
        return mean / 1000
    chance, _ = _draws(f"{attempt.request_id or call.question}#{attempt.number}")
    return (mean + (2 * chance - 1) * jitter) / 1000


def output_tokens(given: Answer) -> int:
    """About four characters a token."""
    return tokens(given.content or "")


def _right(call: Call) -> Answer:
    if call.schema is None:
        said = answering.text(call.question, call.instructions)
        return Answer(content=said, value=said)
    try:
        value = answering.value(call.schema, call.question, call.instructions)
    except InvalidSchema as error:
        raise BadCall(f"Invalid schema: {error}") from error
    return Answer(content=orjson.dumps(value).decode(), value=value, schema=call.schema)


def _shortened(given: Answer, most: int | None) -> Answer:
    """The answer, cut where a real model would have run out of tokens."""
    if most is None or given.content is None or output_tokens(given) <= most:
        return given
    return replace(given, content=given.content[: most * 4], finish="length")


def _draws(key: str) -> tuple[float, int]:
    """A number in [0, 1) and an independent whole one, both fixed by the key."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big") / 2**64, int.from_bytes(digest[8:], "big")
