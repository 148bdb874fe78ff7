"""What a text says: sentiment, urgency, language, summary, keywords, numbers; each worked out when first asked for."""

import re
from collections import Counter
from functools import cached_property

from ops.local.provider.answers import entities, lexicon

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+(?=\s|$)|[.!?](?=\S)[^.!?\n]*)*[.!?]*")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
_SUMMARY_LENGTH = 220


class Reading:
    """One text, read once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lower = text.lower()

    @cached_property
    def words(self) -> list[str]:
        return _WORD.findall(self.lower)

    @cached_property
    def sentences(self) -> list[str]:
        return [found.strip() for found in _SENTENCE.findall(self.text) if found.strip()] or [self.text.strip()]

    @cached_property
    def _scores(self) -> tuple[float, float]:
        """Weight of the positive and of the negative words; a negator within the two words before turns one around."""
        good = bad = 0.0
        words = self.words
        for index, word in enumerate(words):
            if word not in lexicon.POSITIVE and word not in lexicon.NEGATIVE:
                continue
            before = words[max(0, index - 2) : index]
            weight = 1.5 if any(one in lexicon.INTENSIFIERS for one in before) else 1.0
            turned = any(one in lexicon.NEGATORS for one in before)
            if (word in lexicon.POSITIVE) != turned:
                good += weight
            else:
                bad += weight
        return good, bad

    @cached_property
    def score(self) -> float:
        """Sentiment from -1 to 1."""
        good, bad = self._scores
        return round((good - bad) / (good + bad + 0.5), 2) if good + bad else 0.0

    @cached_property
    def sentiment(self) -> str:
        """positive, negative, neutral or mixed."""
        good, bad = self._scores
        if good and bad and abs(good - bad) < 0.34 * (good + bad):
            return "mixed"
        return "neutral" if good == bad else "positive" if good > bad else "negative"

    @cached_property
    def confidence(self) -> float:
        good, bad = self._scores
        return round(min(0.98, 0.7 + 0.08 * abs(good - bad)), 2)

    @cached_property
    def urgency(self) -> str:
        """high, medium or low."""
        if any(phrase in self.lower for phrase in lexicon.URGENT):
            return "high"
        return "medium" if self.score < 0 else "low"

    @cached_property
    def language(self) -> str:
        """A two-letter code, the one whose commonest words the text uses most."""
        words = Counter(self.words)
        counts = {code: sum(words[one] for one in common) for code, common in lexicon.LANGUAGE_WORDS.items()}
        return max(counts, key=lambda code: counts[code])

    @cached_property
    def entities(self) -> list[entities.Entity]:
        return entities.find(self.text)

    def entity(self, *kinds: str) -> str | None:
        """The first entity of one of the kinds."""
        return next((found.text for found in self.entities if found.kind in kinds), None)

    @cached_property
    def numbers(self) -> list[float]:
        return [
            float(found.replace(",", "") if "." in found else found.replace(",", ".", 1).replace(",", ""))
            for found in _NUMBER.findall(self.text)
        ]

    @cached_property
    def summary(self) -> str:
        """The leading sentences, about 220 characters of them."""
        kept = self.sentences[0]
        for sentence in self.sentences[1:3]:
            if len(kept) + len(sentence) < _SUMMARY_LENGTH:
                kept += " " + sentence
        return kept

    @cached_property
    def title(self) -> str:
        return " ".join(self.sentences[0].rstrip(".!?").split()[:8])

    @cached_property
    def keywords(self) -> list[str]:
        """The five commonest words that carry meaning, the earlier first among equals."""
        counted = Counter(word for word in self.words if len(word) > 3 and word not in lexicon.STOP_WORDS)
        return [word for word, _ in counted.most_common(5)] or [word for word, _ in Counter(self.words).most_common(1)]

    @cached_property
    def telling(self) -> str:
        """The sentence that says most about the sentiment."""

        def weight(sentence: str) -> int:
            words = _WORD.findall(sentence.lower())
            return sum(word in lexicon.POSITIVE or word in lexicon.NEGATIVE for word in words)

        return max(self.sentences, key=weight)
