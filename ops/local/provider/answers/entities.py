"""Rules that find people, companies, places, dates, amounts, addresses and references in a text."""

import re
from typing import NamedTuple

from ops.local.provider.answers import lexicon


class Entity(NamedTuple):
    """One mention; `start` and `end` are character offsets into the text, `kind` one of lexicon.ENTITY_LABELS."""

    text: str
    kind: str
    start: int
    end: int


_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_NAME = r"[A-ZÀ-Ý][\w'’-]+"
_RULES = (
    ("email", r"[\w.+-]+@[\w-]+\.[\w.-]*\w"),
    ("url", r"https?://[^\s<>\"']*[\w/]|www\.[\w.-]*\w"),
    (
        "money",
        r"[€$£]\s?\d+(?:,\d{3})*(?:\.\d+)?|\d+(?:,\d{3})*(?:\.\d+)?\s?(?:EUR|USD|GBP|CHF|euros?|dollars?|pounds?)\b",
    ),
    (
        "date",
        rf"\d{{4}}-\d\d-\d\d|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}(?: \d{{4}})?|{_MONTH} \d{{1,2}}(?:, \d{{4}})?",
    ),
    ("weekday", r"(?:last |next )?(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"),
    ("reference", r"#\d{3,}|[A-Z]{2,5}-\d{2,}(?:-\d+)?"),
    ("phone", r"\+\d[\d ()/-]{6,}\d"),
    (
        "organization",
        rf"University of (?:the )?{_NAME}|(?!The )(?:{_NAME} (?:& )?){{1,3}}(?:{lexicon.COMPANY_ENDINGS})\b",
    ),
    ("titled", rf"(?:Mr|Mrs|Ms|Dr|Prof)\.? {_NAME}(?: {_NAME})?"),
    ("location", rf"(?:{lexicon.PLACES})\b"),
    ("product", r"[A-Z][a-z]+[A-Za-z]* (?:Pro |Mini |Max )?\d{2,4}\b"),
    ("named", rf"(?:{lexicon.FIRST_NAMES})\b(?: {_NAME})?"),
)
_PATTERN = re.compile(r"(?<![\w#@.])(?:" + "|".join(f"(?P<{kind}>{rule})" for kind, rule in _RULES) + ")")
_SAME = {"weekday": "date", "titled": "person"}


def find(text: str) -> list[Entity]:
    """The entities of `text` in reading order, each wording once."""
    found: dict[str, Entity] = {}
    for match in _PATTERN.finditer(text):
        kind, wording = match.lastgroup or "", match.group()
        if kind == "named":
            first, _, last = wording.partition(" ")
            kind, wording = "person", first if last.lower() in lexicon.STOP_WORDS else wording
        found.setdefault(wording, Entity(wording, _SAME.get(kind, kind), match.start(), match.start() + len(wording)))
    return list(found.values())
