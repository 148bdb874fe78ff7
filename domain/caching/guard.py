"""When two wordings ask the same: whatever their similarity, everything that carries meaning is equal. Pure.

The rule is an equivalence: `sense` brings a text into the one form that all its harmless wordings share, and two texts
agree when their senses are equal. What may differ is listed (wording.yaml): politeness, greetings, ways to begin a
question, contractions, spellings, some synonyms, the final stop. All else stays, in its order: numbers, dates, names,
negations, prepositions, tenses and every word that is not known keep two texts apart ("enable 2FA" and "disable 2FA",
"USD to EUR" and "EUR to USD", "few" and "a few"). An equivalence can be looked up by a hash.

Other languages than English, and texts of several lines, are compared as they stand.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import yaml

VERSION = 1
"""Of the form: senses of different versions are not compared."""

_TOKEN = re.compile(r"\w+(?:['./:@,&+-]\w+)*|[^\w\s]")
_VERBATIM = re.compile(r"[`\t\n\r\v\f\u0085\u2028\u2029]")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"'})
_HELPS = "(?:can|could|is|are|am|was|were|do|does|did|would|should|will|has|have|must|may)"
_ASKS = re.compile(
    rf"(?:(?:how|what|when|where|who|which|why) (?:(?:not )?{_HELPS}|to)|"
    rf"(?:how|what|which) (?!(?:i|you|we|they|he|she|it) )\S+ {_HELPS}|"
    rf"{_HELPS} (?:not )?(?:i|you|we|they|he|she|there|my|your|our|their))(?!\S)"
)
_BEFORE_A_QUESTION = r"(?=(?:how|what|when|where|who|which|why)(?!\S))"
Rewrite = Callable[[str], str]


def sense(text: str) -> str:
    """The form that all harmless wordings of a text share; `text` itself where none may differ."""
    text = unicodedata.normalize("NFC", text).strip()
    if _VERBATIM.search(text):
        return f"= {text}"
    tokens = _TOKEN.findall(text.translate(_QUOTES))
    language = _language(tokens)
    if language != "en":
        said, asks = _ended(" ".join(tokens))
        return f"{language}{'?' if asks else '.'} {said}"
    said, asks = _polite_words_off(" ".join(tokens))
    for rewrite in _rewrites():
        said = rewrite(said)
    return f"en{'?' if asks or _ASKS.match(said) else '.'} {said}"


def agree(asked: str, known: str) -> bool:
    """Whether an answer to `known` may be an answer to `asked`."""
    return sense(asked) == sense(known)


def digest(texts: Sequence[str]) -> bytes:
    """32 bytes that are equal only for texts that agree, one by one."""
    hashed = sha256(str(VERSION).encode())
    for text in texts:
        # each part is of a known length, so that no two lists of texts run together
        hashed.update(sha256(sense(text).encode("utf-8", "surrogatepass")).digest())
    return hashed.digest()


@dataclass(frozen=True, slots=True)
class _Wording:
    languages: Mapping[str, frozenset[str]]
    starters: frozenset[str]
    contractions: Mapping[str, str]
    openings: re.Pattern[str]
    closings: re.Pattern[str]
    fillers: re.Pattern[str]


def _language(tokens: Sequence[str]) -> str:
    """The one that most of the telling words belong to; English where nothing tells."""
    words = [token.lower() for token in tokens]
    counts = {name: sum(word in known for word in words) for name, known in _wording().languages.items()}
    best = max(counts.values(), default=0)
    return "en" if counts["en"] == best else max(counts, key=lambda name: counts[name])


def _polite_words_off(said: str) -> tuple[str, bool]:
    """Without greetings, thanks and `please`, and whether it ends with a question mark."""
    wording, asks, before = _wording(), False, ""
    while said != before:
        before, said = said, _folded(said)
        said, asked = _ended(said)
        asks = asks or asked
        said = _shorter(wording.openings, said)
        said = _shorter(wording.closings, said)
        said = _shorter(wording.fillers, said)
    words = [wording.contractions.get(word, word) for word in said.split(" ")]
    return " ".join(words), asks


def _folded(said: str) -> str:
    """Capitals that only begin a sentence made small; `I` is always small."""
    words, begins = said.split(" "), True
    for place, word in enumerate(words):
        small = word.lower()
        own = small == "i" or small.startswith("i'")
        if own or (begins and word[1:] == small[1:] and small in _wording().starters):
            words[place] = small
        begins = word in (".", "!", "?")
    return " ".join(words)


def _ended(said: str) -> tuple[str, bool]:
    """Without one final mark, and whether that asks. Several marks say more, and stay."""
    stem, _, mark = said.rpartition(" ")
    if mark not in (".", "!", "?") or not stem or not stem[-1].isalnum():
        return said, False
    return stem, mark == "?"


def _shorter(pattern: re.Pattern[str], said: str) -> str:
    """Unless nothing would be left."""
    left = pattern.sub(" ", said).strip()
    return " ".join(left.split()) or said


@cache
def _rules() -> Any:
    # everything is text: `no` and `on` are words here
    text = (files("domain.caching") / "wording.yaml").read_text(encoding="utf-8")
    return yaml.load(text, yaml.BaseLoader)  # noqa: S506 # nosec B506


@cache
def _wording() -> _Wording:
    rules = _rules()
    starters, fillers = rules["starters"], _either(rules["fillers"])
    begins = rf"(?= (?:{_either([*starters, *(word.capitalize() for word in starters)])})(?!\S))"
    return _Wording(
        languages={name: frozenset(words) for name, words in rules["languages"].items()},
        starters=frozenset(rules["starters"]),
        contractions=rules["contractions"],
        openings=re.compile(rf"^(?:{_either(rules['openings'])})(?: [,.!])?{begins}"),
        closings=re.compile(
            rf"(?<!yes)(?<!no)(?: [,.!]|(?<= \?)) (?:{_either(rules['closings'])}|{fillers})(?: [.!])?$"
        ),
        fillers=re.compile(rf"(?:^|(?<= [.!?] )|(?<=can you )|(?<=could you ))(?:{fillers})(?: ,)?{begins}"),
    )


@cache
def _rewrites() -> tuple[Rewrite, ...]:
    """In their order: what stands anywhere, then how it begins, then the whole."""
    rules = _rules()
    phrases = {name: said for name, said in rules["contractions"].items() if " " in name}
    phrases |= {variant: name for name, variants in rules["same"].items() for variant in variants}
    verbs = {variant: name for name, variants in rules["verbs"].items() for variant in variants}
    behind = "|".join(rf"(?<=(?<!\S){word} )" for word in rules["verbs_after"])
    anywhere = re.compile(rf"(?<!\S)(?:{_either(phrases)})(?!\S)")
    after = re.compile(rf"(?:^|{behind})(?:{_either(verbs)})(?!\S)")
    asking = re.compile(rf"^(?:{_either(rules['asking'])}) {_BEFORE_A_QUESTION}")
    telling = re.compile(rf"^(?:{_either(rules['asking'])}) (?=(?:if|whether)(?!\S))")
    beginnings = [_beginning(rule) for rule in rules["beginnings"]]
    whole = [_whole(rule) for rule in rules["questions"]]
    return (
        lambda said: anywhere.sub(lambda found: phrases[found[0]], said),
        lambda said: after.sub(lambda found: verbs[found[0]], said),
        lambda said: asking.sub("", said),
        lambda said: telling.sub("tell me ", said),
        *beginnings,
        *whole,
    )


def _beginning(rule: Mapping[str, Any]) -> Rewrite:
    unless = rf"(?!(?:{_either(rule['unless'])})(?!\S))" if rule["unless"] else ""
    pattern = re.compile(rf"^(?:{_either(rule['for'])}) {unless}(?=\S)")
    return lambda said: pattern.sub(f"{rule['says']} ", said)


def _whole(forms: Sequence[str]) -> Rewrite:
    sides = [tuple(map(re.escape, form.split("{x}"))) for form in forms[1:]]
    patterns = [re.compile(f"^{before}(.+){after}$") for before, after in sides]
    before, after = forms[0].split("{x}")

    def rewrite(said: str) -> str:
        for pattern in patterns:
            if found := pattern.match(said):
                return f"{before}{found[1]}{after}"
        return said

    return rewrite


def _either(phrases: Any) -> str:
    """The longest first, so that a phrase is never cut by a shorter one."""
    return "|".join(re.escape(phrase) for phrase in sorted(phrases, key=lambda one: (-len(one), one)))
