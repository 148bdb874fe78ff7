"""The words of lexicon.yaml, loaded once, in the shapes that lookups want."""

import re
from importlib import resources
from typing import Any

import yaml

_WORDS: dict[str, Any] = yaml.safe_load(resources.files(__package__).joinpath("lexicon.yaml").read_text("utf-8"))


def _inverted(table: dict[str, list[str]]) -> dict[str, str]:
    return {synonym: name for name, synonyms in table.items() for synonym in synonyms}


FEELING: dict[str, int] = dict.fromkeys(_WORDS["positive"], 1) | dict.fromkeys(_WORDS["negative"], -1)
FEELING_WORDS: frozenset[str] = frozenset(FEELING)
NEGATORS: frozenset[str] = frozenset(_WORDS["negators"])
INTENSIFIERS: frozenset[str] = frozenset(_WORDS["intensifiers"])
URGENT: tuple[str, ...] = tuple(_WORDS["urgent"])
STOP_WORDS: frozenset[str] = frozenset(_WORDS["stop_words"])
SENTIMENT_OF: dict[str, str] = _inverted(_WORDS["sentiment_labels"])
URGENCY_OF: dict[str, str] = _inverted(_WORDS["urgency_labels"])
FALLBACKS: tuple[str, ...] = tuple(_WORDS["fallback_labels"])
CONCEPTS: dict[str, tuple[str, ...]] = {name: tuple(words) for name, words in _WORDS["concepts"].items()}
ENTITY_LABELS: dict[str, frozenset[str]] = {name: frozenset(words) for name, words in _WORDS["entity_labels"].items()}
LANGUAGE_NAMES: dict[str, str] = {code: one["name"] for code, one in _WORDS["languages"].items()}
LANGUAGE_WORDS: dict[str, frozenset[str]] = {code: frozenset(one["words"]) for code, one in _WORDS["languages"].items()}
TRANSLATIONS: dict[str, dict[str, str]] = _WORDS["translations"]
PLACES: str = "|".join(re.escape(place) for place in sorted(_WORDS["places"], key=len, reverse=True))
FIRST_NAMES: str = "|".join(name.capitalize() for name in _WORDS["first_names"])
COMPANY_ENDINGS: str = "|".join(_WORDS["company_endings"])
