"""Which of an enum's values fits a text best."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ops.local.provider.answers import lexicon
from ops.local.provider.answers.reading import Reading

_WORD = re.compile(r"[a-z0-9]+")


class _Candidate(NamedTuple):
    """One enum value, prepared: what it is called, what it stands for, and what a text says when it is meant."""

    value: Any
    label: str
    sentiment: str | None
    urgency: str | None
    phrases: tuple[str, ...]


def _candidate(value: Any) -> _Candidate:
    label = str(value).lower()
    words = _WORD.findall(label)
    phrases = [phrase for word in words for phrase in lexicon.CONCEPTS.get(word.removesuffix("s"), ())]
    phrases += [word for word in words if len(word) > 3]
    found = next((lexicon.SENTIMENT_OF[word] for word in words if word in lexicon.SENTIMENT_OF), None)
    urgency = next((lexicon.URGENCY_OF[word] for word in words if word in lexicon.URGENCY_OF), None)
    return _Candidate(value, label, found, urgency, tuple(phrases))


def rank(name: frozenset[str], values: Sequence[Any], reading: Reading) -> list[Any]:
    """`values` ordered by fit, the best first; equal ones keep the schema's order."""
    candidates = _prepared(values)
    if name & {"language", "lang", "locale"}:
        spoken = (reading.language, lexicon.LANGUAGE_NAMES[reading.language].lower())
        return [one.value for one in sorted(candidates, key=lambda one: one.label not in spoken)]
    if sum(one.sentiment is not None for one in candidates) >= 2:
        return [one.value for one in sorted(candidates, key=lambda one: _feeling(one, reading), reverse=True)]
    if sum(one.urgency is not None for one in candidates) >= 2:
        return [one.value for one in sorted(candidates, key=lambda one: one.urgency != reading.urgency)]
    return [one.value for one in sorted(candidates, key=lambda one: _fit(one, reading.lower), reverse=True)]


def fitting(values: Sequence[Any], reading: Reading) -> int:
    """How many of `values` the text speaks of, at least 1."""
    return max(1, sum(_fit(one, reading.lower) >= 1 for one in _prepared(values)))


def _prepared(values: Sequence[Any]) -> tuple[_Candidate, ...]:
    try:
        # The types belong to the key: 1, 1.0 and true are equal but not the same value.
        return _candidates_of(tuple(values), tuple(map(type, values)))
    except TypeError:  # objects and lists in an enum cannot be remembered
        return tuple(_candidate(value) for value in values)


@lru_cache(maxsize=2048)
def _candidates_of(values: tuple[Any, ...], _types: tuple[type, ...]) -> tuple[_Candidate, ...]:
    return tuple(_candidate(value) for value in values)


def _feeling(candidate: _Candidate, reading: Reading) -> float:
    if candidate.sentiment == reading.sentiment:
        return 2 - ("very" in candidate.label) * (abs(reading.score) < 0.8)
    if candidate.sentiment == "neutral":
        return 1 if reading.sentiment == "mixed" else 0.5
    return 0


def _fit(candidate: _Candidate, text: str) -> float:
    hits = sum(phrase in text for phrase in candidate.phrases)
    return hits or (0.5 if candidate.label in lexicon.FALLBACKS else 0)
