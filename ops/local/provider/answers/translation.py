"""A word-for-word translation out of English: enough to see that a translation was asked for and into what."""

import re
from functools import lru_cache

from ops.local.provider.answers import lexicon

_CODE_OF = {name.lower(): code for code, name in lexicon.LANGUAGE_NAMES.items()}
_TARGET = re.compile(
    r"(?:\b(?:in)?to|target[_ ]language\W+|\bin)\s*[\"'“]?(" + "|".join([*_CODE_OF, *lexicon.LANGUAGE_NAMES]) + r")\b"
)
_QUESTION = re.compile(r"\btranslat(?:e|ion)\b")


def asked_for(prompt: str) -> str | None:
    """The two-letter code of the language that a prompt asks to translate into; None when it asks for nothing such."""
    lower = prompt.lower()
    if not _QUESTION.search(lower):
        return None
    found = _TARGET.search(lower)
    return _CODE_OF.get(found.group(1), found.group(1)) if found else "de"


@lru_cache(maxsize=8)
def _pattern(code: str) -> re.Pattern[str]:
    words = sorted(lexicon.TRANSLATIONS[code], key=len, reverse=True)
    return re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b", re.IGNORECASE)


def into(code: str, text: str) -> str:
    """`text` with the words known in `code` replaced; marked with the code where no dictionary exists."""
    if code not in lexicon.TRANSLATIONS:
        return f"[{code}] {text}"
    words = lexicon.TRANSLATIONS[code]

    def replaced(match: re.Match[str]) -> str:
        found = words[match.group().lower()]
        return found[0].upper() + found[1:] if match.group()[0].isupper() else found

    return _pattern(code).sub(replaced, text)
