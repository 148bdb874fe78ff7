"""Punctuation put right without asking again: what a model wrote around its JSON, or got wrong within it.

Mended: a code fence, prose before and after, trailing commas, a comma missing at the end of a line, single quotes,
names without quotes, Python's True, False and None, comments, line breaks inside a string, brackets missing at the end.
Not mended: whatever would invent or lose a word. An answer cut within a string, a number or a member, or one that could
be read in two ways, is asked for again. Linear in its size, which is bounded
(docs/decisions/0023-mending-is-ours.md has the figures).
"""

import re
from dataclasses import dataclass, field

import orjson

MAX_SIZE = 16 * 1024
"""Characters; a longer answer is not mended. The worst 16 KiB take 30 ms."""
MAX_DEPTH = 64
MAX_VALUES = 8
"""JSON values in one answer; prose with more of them is not one answer."""

# possessive quantifiers throughout: nothing is ever tried twice
_GAP = re.compile(r"(?:\s++|//[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/)*+")
_WORD = re.compile(
    r'"(?:[^"\\]++|\\.)*+"'
    r"|'(?:[^'\\]++|\\.)*+'"
    r"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+(?![\w.])"
    r"|[A-Za-z_$][\w$-]*+"
    r"|[{}\[\]:,]",
    re.DOTALL,
)
# a bracket that begins JSON, as `{name}` or `[see below]` does not
_START = re.compile(r"""\{\s*+(?:["'}]|[A-Za-z_$][\w$-]*+\s*+:)|\[\s*+(?:["'{\[\]]|-?[0-9]|true\b|false\b|null\b)""")
_FENCE = re.compile(r"```[\w-]*+\s++(.*\S)\s*+```", re.DOTALL)
_QUOTED = re.compile(r'\\.|"', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f]")
_LITERALS = {"true": "true", "True": "true", "false": "false", "False": "false", "null": "null", "None": "null"}
_CLOSER = {"{": "}", "[": "]"}


class _Unclear(Exception):
    """No one reading of the text."""


def mend(text: str) -> list[str]:
    """The JSON values that the text holds, as JSON texts, each once; none where it is unclear what they are."""
    text = text.strip().lstrip("\ufeff")
    if len(text) > MAX_SIZE:
        return []
    if (fenced := _FENCE.fullmatch(text)) is not None:
        text = fenced[1]
    found: list[str] = []
    end = 0
    try:
        while len(found) <= MAX_VALUES and (start := _START.search(text, end)) is not None:
            value, end = _Value(text, start.start()).read()
            found.append(value)
    except _Unclear:
        return []
    if not found and fenced is not None:
        return [text]
    return list(dict.fromkeys(found)) if len(found) <= MAX_VALUES else []


@dataclass(slots=True)
class _Level:
    """An open bracket, and whether it holds anything yet."""

    bracket: str
    filled: bool = False


@dataclass(slots=True)
class _Value:
    """Reads one object or array of `text` from `at` on, and writes it as JSON.

    `wants` is what may come: start (a member, or the end of an empty level), member (one, or the end after a trailing
    comma), colon, value, or next (a comma, or the end).
    """

    text: str
    at: int
    wants: str = "value"
    levels: list[_Level] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    last: str = ""

    def read(self) -> tuple[str, int]:
        """The JSON text and where it ended. Raises _Unclear."""
        while True:
            gap = _GAP.match(self.text, self.at)
            begin = gap.end() if gap else self.at
            found = _WORD.match(self.text, begin)
            if found is None:
                return self._cut(begin)
            broken = "\n" in self.text[self.at : begin]
            self.at, word = found.end(), found[0]
            self._take(word, broken)
            self.last = word
            if not self.levels:
                return "".join(self.written), self.at

    def _take(self, word: str, broken: bool) -> None:
        if word in ("}", "]"):
            self._close(word)
        elif self.wants == "colon":
            self._expect(word == ":", "value", word)
        elif self.wants == "next" and word == ",":
            self.wants = "member"
        elif self.wants == "next":
            # a line that ends without its comma; on one line it could be a quote that was not escaped
            self._expect(broken and self.last[-1] not in ":,", "member")
            self._take(word, broken)
        elif self.wants == "value":
            self._value(word)
        else:
            self._member(word)

    def _expect(self, holds: bool, then: str, written: str = "") -> None:
        if not holds:
            raise _Unclear
        self.wants = then
        self.written.append(written)

    def _member(self, word: str) -> None:
        level = self.levels[-1]
        if level.filled:
            self.written.append(",")
        level.filled = True
        if level.bracket == "[":
            self._value(word)
            return
        self._expect(word[0] in "\"'_$" or word[0].isalpha(), "colon", _string(word))

    def _value(self, word: str) -> None:
        if word in ("{", "["):
            if len(self.levels) >= MAX_DEPTH:
                raise _Unclear
            self.levels.append(_Level(word))
            self._expect(True, "start", word)
        elif word[0] in "\"'":
            self._expect(True, "next", _string(word))
        elif word[0] == "-" or word[0].isdigit():
            self._expect(True, "next", word)
        else:
            self._expect(word in _LITERALS, "next", _LITERALS.get(word, ""))

    def _close(self, word: str) -> None:
        fits = bool(self.levels) and _CLOSER[self.levels[-1].bracket] == word
        self._expect(fits and self.wants in ("start", "member", "next"), "next", word)
        self.levels.pop()

    def _cut(self, begin: int) -> tuple[str, int]:
        """The text ended, perhaps in a fence, with brackets open: only they may be missing."""
        rest = self.text[begin:].strip()
        if rest.strip("`") or self.wants != "next" or self.last[-1] not in "}]\"'el":
            raise _Unclear
        closers = [_CLOSER[level.bracket] for level in reversed(self.levels)]
        return "".join([*self.written, *closers]), len(self.text)


def _string(word: str) -> str:
    """A string or a bare name as a JSON string."""
    if word[0] not in "\"'":
        return f'"{word}"'
    return f'"{_CONTROL.sub(_escaped, _QUOTED.sub(_requoted, word[1:-1]))}"'


def _requoted(found: re.Match[str]) -> str:
    return {"\\'": "'", '"': '\\"'}.get(found[0], found[0])


def _escaped(found: re.Match[str]) -> str:
    return orjson.dumps(found[0]).decode()[1:-1]
