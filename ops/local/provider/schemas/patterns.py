"""Strings that match a regular expression, by walking its parse tree.

ECMA 262 patterns of JSON Schema are close enough to Python's for every construct sampled here; a pattern that Python
cannot read gives None, and the validator has the last word on what is returned.
"""

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_parser: Any = importlib.import_module("re._parser")
_PRINTABLE = [*"abcdefghijklmnopqrstuvwxyz", *"0123456789", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", " ", *"-_.,:;/+@#"]
_MOST_REPEATS = 64
_CLASSES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdigit,
    "CATEGORY_NOT_DIGIT": lambda character: not character.isdigit(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda character: not character.isspace(),
    "CATEGORY_WORD": lambda character: character.isalnum() or character == "_",
    "CATEGORY_NOT_WORD": lambda character: not (character.isalnum() or character == "_"),
}


@lru_cache(maxsize=512)
def sample(pattern: str, least: int = 0, salt: int = 0) -> str | None:
    """A string of at least `least` characters (where repeats allow it) that `pattern` matches, else None.

    Another `salt` gives another string where the pattern has room for one.
    """
    try:
        tree = _parser.parse(pattern)
        text = _Walk(0, salt).run(tree)
        missing = least - len(text)
        return _Walk(missing, salt).run(tree) if missing > 0 else text
    except (ValueError, OverflowError, RecursionError, KeyError, _parser.error):
        return None


class _Walk:
    """One walk over the tree; `stretch` is how many characters the first open repeat adds."""

    def __init__(self, stretch: int, salt: int) -> None:
        self.stretch = stretch
        self.salt = salt
        self.groups: dict[int, str] = {}

    def run(self, tree: Any) -> str:
        return "".join(self._node(str(operation), argument) for operation, argument in tree)

    def _node(self, operation: str, argument: Any) -> str:
        match operation:
            case "LITERAL":
                return chr(argument)
            case "NOT_LITERAL" | "ANY" | "IN":
                return self._pick(_choices(operation, argument))
            case "BRANCH":
                return self.run(argument[1][self.salt % len(argument[1])])
            case "SUBPATTERN":
                self.groups[argument[0]] = text = self.run(argument[3])
                return text
            case "GROUPREF":
                return self.groups[argument]
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                return self._repeat(*argument)
            case _:  # anchors and look-arounds add no characters
                return self.run(argument) if operation == "ATOMIC_GROUP" else ""

    def _repeat(self, least: int, most: Any, tree: Any) -> str:
        times = least
        if int(most) > least and self.stretch > 0:
            times = min(int(most), least + self.stretch)
            self.stretch -= times - least
        elif least == 0 and self.salt:
            times = min(int(most), 1)
        if times > _MOST_REPEATS * 64:
            raise ValueError("the pattern asks for a very long string")
        return "".join(self.run(tree) for _ in range(times))

    def _pick(self, characters: list[str]) -> str:
        self.salt, digit = divmod(self.salt, len(characters))
        return characters[digit]


def _choices(operation: str, argument: Any) -> list[str]:
    if operation == "NOT_LITERAL":
        return [character for character in _PRINTABLE if ord(character) != argument]
    return _PRINTABLE if operation == "ANY" else _members(argument)


def _members(items: Any) -> list[str]:
    if str(items[0][0]) == "NEGATE":
        excluded = {character for item in items[1:] for character in _item(str(item[0]), item[1])}
        return [character for character in _PRINTABLE if character not in excluded] or ["é"]
    return list(dict.fromkeys(character for item in items for character in _item(str(item[0]), item[1])))


def _item(operation: str, argument: Any) -> list[str]:
    if operation == "LITERAL":
        return [chr(argument)]
    if operation == "RANGE":
        return [chr(code) for code in range(argument[0], min(argument[1], argument[0] + 128) + 1)]
    test = _CLASSES[str(argument)]
    return [character for character in _PRINTABLE if test(character)]
