"""What a text says: sentiment, urgency, language, summary, keywords, numbers; each worked out when first asked for."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ops.local.provider.answers import entities, lexicon

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!Dr\.)(?<!Mr\.)(?<!Ms\.)\s+|\n+")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
_SUMMARY_LENGTH = 220


T = TypeVar("T")


class cached(Generic[T]):  # noqa: N801 - reads as the decorator it is
    """functools.cached_property without its lock, which costs more than most of what is cached here."""

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self._name = work_out.__name__
        self.__doc__ = work_out.__doc__

    def __get__(self, owner: Any, _kind: type) -> T:
        found = owner.__dict__[self._name] = self._work_out(owner)
        return found


class Reading:
    """One text, read once."""

    def __init__(self, text: str) -> None:
        self.text = text = text.strip()
        self.lower = text.lower()

    @cached
    def words(self) -> list[str]:
        return _WORD.findall(self.lower)

    @cached
    def sentences(self) -> list[str]:
        return [found for found in _SENTENCE_END.split(self.text) if found] or [self.text]

    @cached
    def _scores(self) -> tuple[float, float]:
        """Weight of the positive and of the negative words; a negator within the two words before turns one around."""
        good = bad = 0.0
        words = self.words
        for index, word in enumerate(words):
            if (feeling := lexicon.FEELING.get(word)) is None:
                continue
            before = words[max(0, index - 2) : index]
            weight = 1.0 if lexicon.INTENSIFIERS.isdisjoint(before) else 1.5
            if (feeling > 0) == lexicon.NEGATORS.isdisjoint(before):
                good += weight
            else:
                bad += weight
        return good, bad

    @cached
    def score(self) -> float:
        """Sentiment from -1 to 1."""
        good, bad = self._scores
        return round((good - bad) / (good + bad + 0.5), 2) if good + bad else 0.0

    @cached
    def sentiment(self) -> str:
        """positive, negative, neutral or mixed."""
        good, bad = self._scores
        if good and bad and abs(good - bad) < 0.34 * (good + bad):
            return "mixed"
        return "neutral" if good == bad else "positive" if good > bad else "negative"

    @cached
    def confidence(self) -> float:
        good, bad = self._scores
        return round(min(0.98, 0.7 + 0.08 * abs(good - bad)), 2)

    @cached
    def urgency(self) -> str:
        """high, medium or low."""
        if any(phrase in self.lower for phrase in lexicon.URGENT):
            return "high"
        return "medium" if self.score < 0 else "low"

    @cached
    def language(self) -> str:
        """A two-letter code, the one whose commonest words the text uses most."""
        words = Counter(self.words)
        counts = {code: sum(words[one] for one in common) for code, common in lexicon.LANGUAGE_WORDS.items()}
        return max(counts, key=lambda code: counts[code])

    @cached
    def entities(self) -> list[entities.Entity]:
        return entities.find(self.text)

    def entity(self, *kinds: str) -> str | None:
        """The first entity of one of the kinds."""
        return next((found.text for found in self.entities if found.kind in kinds), None)

    @cached
    def numbers(self) -> list[float]:
        return [
            float(found.replace(",", "") if "." in found else found.replace(",", ".", 1).replace(",", ""))
            for found in _NUMBER.findall(self.text)
        ]

    @cached
    def summary(self) -> str:
        """The leading sentences, about 220 characters of them."""
        kept = self.sentences[0]
        for sentence in self.sentences[1:3]:
            if len(kept) + len(sentence) < _SUMMARY_LENGTH:
                kept += " " + sentence
        return kept

    @cached
    def title(self) -> str:
        return " ".join(self.sentences[0].rstrip(".!?").split()[:8])

    @cached
    def keywords(self) -> list[str]:
        """The five commonest words that carry meaning, the earlier first among equals."""
        counted = Counter(word for word in self.words if len(word) > 3 and word not in lexicon.STOP_WORDS)
        return [word for word, _ in counted.most_common(5)] or [word for word, _ in Counter(self.words).most_common(1)]

    @cached
    def telling(self) -> str:
        """The sentence that says most about the sentiment."""

        def weight(sentence: str) -> int:
            return len(lexicon.FEELING_WORDS.intersection(_WORD.findall(sentence.lower())))

        return max(self.sentences, key=weight)
