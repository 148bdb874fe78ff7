"""Characters that a reader of a prompt does not see and a model does: what is taken out of every text sent to one.

Taken out: control characters but tab and line ends; what reorders a line (bidi embeddings, overrides, isolates);
Unicode tags, which spell hidden ASCII, but for those of a flag; zero-width space, word joiner, byte order mark and
invisible operators; annotation marks; non-characters; more than one variation selector in a row, which can carry bytes.
Kept, since languages and emoji need them: joiners (U+200C, U+200D), the marks U+200E, U+200F and U+061C, soft hyphens.
Refused before, where a request is decoded: NUL and lone surrogates (rule L5).
Sources: Unicode TR9 and TR36; Boucher and Anderson, "Trojan Source" (2021).
"""

import re
from typing import Any

_HIDDEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls (C0 but tab, LF and CR; DEL; C1)
    "\u202a-\u202e\u2066-\u2069"  # bidi embeddings, overrides, isolates
    "\u200b\u2060-\u2064\u206a-\u206f\ufeff\u180e"  # zero width, invisible operators, deprecated format controls
    "\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff"  # annotations, non-characters
    "\U000e0000-\U000e007f"  # tags
)
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_FLAG = "(\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,8}\U000e007f)"
_ASCII = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SUSPECT = re.compile(f"[{_HIDDEN}{_SELECTORS}]")
_ANY = re.compile(f"{_FLAG}|(?<=[{_SELECTORS}])[{_SELECTORS}]+|[{_HIDDEN}]")


def sanitised(text: str) -> str:
    """The same object where there is nothing to take out."""
    if text.isascii():
        return _ASCII.sub("", text) if _ASCII.search(text) else text
    return _ANY.sub(_kept, text) if _SUSPECT.search(text) else text


def sanitised_value(value: Any) -> Any:
    """Every text in a JSON value, names of fields included."""
    if isinstance(value, str):
        return sanitised(value)
    if isinstance(value, list):
        return [sanitised_value(one) for one in value]
    if isinstance(value, dict):
        return {sanitised(name): sanitised_value(one) for name, one in value.items()}
    return value


def sanitised_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every text of every message; the same list where there is nothing to take out."""
    changed = [_message(message) for message in messages]
    return messages if all(one is other for one, other in zip(changed, messages, strict=True)) else changed


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        clean: Any = sanitised(content)
        return message if clean is content or clean == content else {**message, "content": clean}
    clean = [_part(part) for part in content]
    return message if clean == content else {**message, "content": clean}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    text = part.get("text")
    return {**part, "text": sanitised(text)} if isinstance(text, str) else part


def _kept(found: "re.Match[str]") -> str:
    return found[1] or ""
