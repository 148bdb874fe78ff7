"""Says what a field of a schema asks about a text, judging by the field's name (see schemas.filler.Meaning)."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ops.local.provider.answers import lexicon, ranking
from ops.local.provider.answers.entities import Entity
from ops.local.provider.answers.reading import Reading

_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_ENTITY_LISTS = frozenset({"entities", "entity", "mentions", "names"})
_SENTENCE_LISTS = frozenset(
    {"points", "highlights", "bullets", "sentences", "facts", "steps", "takeaways", "actions", "quotes", "evidence"}
)
_KIND = frozenset({"type", "label", "category", "kind", "class"})

_STRINGS: tuple[tuple[frozenset[str], Callable[[Reading], str | None]], ...] = tuple(
    (frozenset(names.split()), say)
    for names, say in (
        ("sentiment polarity tone mood", lambda reading: reading.sentiment),
        ("summary abstract tldr synopsis overview gist", lambda reading: reading.summary),
        ("urgency priority severity", lambda reading: reading.urgency),
        ("language lang locale", lambda reading: reading.language),
        ("email mail", lambda reading: reading.entity("email") or "customer@example.com"),
        ("phone telephone mobile", lambda reading: reading.entity("phone") or "+49 30 1234567"),
        ("url link website homepage", lambda reading: reading.entity("url") or "https://example.com/"),
        ("date day when deadline due", lambda reading: reading.entity("date")),
        ("company organisation organization employer vendor merchant", lambda reading: reading.entity("organization")),
        ("city country location place destination origin", lambda reading: reading.entity("location")),
        ("product item model device", lambda reading: reading.entity("product")),
        ("order reference ticket identifier id", lambda reading: reading.entity("reference")),
        ("amount price cost total", lambda reading: reading.entity("money")),
        ("person customer author sender name", lambda reading: reading.entity("person")),
        ("title headline subject heading", lambda reading: reading.title),
        ("reason reasoning explanation rationale evidence quote why", lambda reading: reading.telling),
        ("intent category topic label class", lambda reading: reading.keywords[0] if reading.keywords else None),
        ("description details answer content text", lambda reading: reading.summary),
    )
)


@lru_cache(maxsize=4096)
def parts_of(name: str) -> frozenset[str]:
    """The lower-case words of a property name, in snake, kebab or camel case."""
    return frozenset(part.lower() for part in _PART.findall(name))


class TextMeaning:
    """What one text (and its translation, which costs more and is made on demand) has to say."""

    def __init__(self, reading: Reading, translate: Callable[[], str]) -> None:
        self._reading = reading
        self._translate = translate

    def text(self, name: str, focus: Any) -> str:
        words = parts_of(name)
        if isinstance(focus, Entity):
            return focus.kind if words & _KIND else focus.text
        if isinstance(focus, str):
            return focus
        if words & {"translation", "translated"}:
            return self._translate()
        for names, say in _STRINGS:
            if words & names and (said := say(self._reading)):
                return said
        return self._reading.title or "none"

    def number(self, name: str, focus: Any, schema: dict[str, Any]) -> float:
        words, reading = parts_of(name), self._reading
        if isinstance(focus, Entity) and words & {"start", "end", "offset"}:
            return focus.end if "end" in words else focus.start
        if words & {"confidence", "probability", "certainty"}:
            return reading.confidence * (100 if schema.get("maximum", 1) >= 100 else 1)
        if words & {"score", "rating", "stars", "sentiment", "polarity"}:
            return _scaled(reading.score, schema)
        if words & {"words", "word", "length"}:
            return len(reading.words)
        if words & {"count", "entities"} and not reading.numbers:
            return len(reading.entities)
        return reading.numbers[0] if reading.numbers else 1

    def truth(self, name: str) -> bool:
        words, reading = parts_of(name), self._reading
        if words & {"urgent", "escalate", "priority", "emergency"}:
            return reading.urgency == "high"
        for word in words & lexicon.SENTIMENT_OF.keys():
            return reading.sentiment == lexicon.SENTIMENT_OF[word]
        return any(phrase in reading.lower for word in words for phrase in lexicon.CONCEPTS.get(word, ()))

    def rank(self, name: str, values: Sequence[Any], focus: Any) -> list[Any]:
        if isinstance(focus, Entity):
            labels = lexicon.ENTITY_LABELS[focus.kind]
            return sorted(values, key=lambda value: str(value).lower() not in labels)
        return ranking.rank(parts_of(name), values, self._reading)

    def items(self, name: str, kinds: Sequence[str], values: Sequence[Any]) -> list[Any]:
        reading, words = self._reading, parts_of(name)
        if values:
            return [None] * ranking.fitting(values, reading)
        if kinds or words & _ENTITY_LISTS:
            return _entities(reading, kinds)
        wanted = [kind for kind, labels in lexicon.ENTITY_LABELS.items() if words & _plurals(labels)]
        if wanted:
            return [found.text for found in reading.entities if found.kind in wanted]
        if words & _SENTENCE_LISTS:
            return list(reading.sentences[:3])
        return list(reading.keywords[:3])


def _entities(reading: Reading, kinds: Sequence[str]) -> list[Entity]:
    """The entities whose kind the enum `kinds` can name; all of them when there is no enum."""
    if not kinds:
        return reading.entities
    names = {str(kind).lower() for kind in kinds}
    return [entity for entity in reading.entities if names & lexicon.ENTITY_LABELS[entity.kind]]


@lru_cache(maxsize=64)
def _plurals(labels: frozenset[str]) -> frozenset[str]:
    return labels | {label + "s" for label in labels} | {label[:-1] + "ies" for label in labels if label.endswith("y")}


def _scaled(score: float, schema: dict[str, Any]) -> float:
    """A score from -1 to 1 on the scale that the schema's bounds suggest."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None or high is None or low < 0:
        return score if high is None or high <= 1 else float(score * high)
    return round(float(low) + (score + 1) / 2 * float(high - low), 2)
