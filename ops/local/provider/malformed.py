"""The twenty ways in which an answer may be malformed.

Most spoil the content of a well-formed reply; the *wire* kinds spoil the HTTP body itself, so that no answer arrives
that a client could quote back: for these, calling again counts as asking again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from ops.local.provider.schemas.filler import compiled

Finish = Literal["stop", "length", "refusal"]

HTML = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
REFUSAL = "I'm sorry, but I can't help with that request."
WIRE_KINDS = frozenset({"wrong_content_length", "cut_stream", "not_json_body"})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer before it is put into a dialect: what is said, why it ended, and what is wrong with its body."""

    content: str | None
    value: Any = None
    schema: Any = None
    finish: Finish = "stop"
    usage: bool = True
    wire: str | None = None


def spoil(kind: str, answer: Answer) -> Answer:
    """The answer, malformed in the way `kind` names (one of KINDS)."""
    return _SPOILERS[kind](answer)


def _text(answer: Answer) -> str:
    return answer.content or ""


def _prose(answer: Answer) -> Answer:
    said = f"Sure! Here is what I found:\n\n{_text(answer)}\n\nLet me know if you need anything else."
    return replace(answer, content=said)


def _truncated(answer: Answer) -> Answer:
    return replace(answer, content=_text(answer)[: len(_text(answer)) * 3 // 5])


def _wrong_type(answer: Answer) -> Answer:
    return _dumped(answer, _invalid(answer, _retyped(answer.value)))


def _retyped(value: Any) -> list[Any]:
    """The value with one member, or all of it, of another type; the least conspicuous first."""
    others: tuple[Any, ...] = (12345, "twelve", [12345], {"unexpected": True}, None)
    whole = [other for other in others if type(other) is not type(value)]
    if not isinstance(value, dict):
        return whole
    return [{**value, name: other} for other in others for name in value] + whole


def _missing_field(answer: Answer) -> Answer:
    value = answer.value
    if not isinstance(value, dict):
        return _wrong_type(answer)
    fewer = [{name: value[name] for name in value if name != left_out} for left_out in value]
    return _dumped(answer, _invalid(answer, fewer))


def _extra_field(answer: Answer) -> Answer:
    if not isinstance(answer.value, dict):
        return replace(answer, content=f'{{"answer":{_text(answer) or "null"},"unexpected_field":"surprise"}}')
    return _dumped(answer, {**answer.value, "unexpected_field": "surprise"})


def _wrong_enum(answer: Answer) -> Answer:
    value = answer.value
    if not isinstance(value, dict):
        return _wrong_type(answer)
    changed = [{**value, name: "not_a_choice"} for name in value if isinstance(value[name], str)]
    return _dumped(answer, _invalid(answer, [*changed, *_retyped(value)]))


def _duplicate_keys(answer: Answer) -> Answer:
    value = answer.value
    if not isinstance(value, dict) or not value:
        return _two_objects(answer)
    wrong = _invalid(answer, _retyped(value))
    again = wrong if isinstance(wrong, dict) else {next(iter(value)): None}
    members = [f"{_json(key)}:{_json(item)}" for one in (value, again) for key, item in one.items()]
    return replace(answer, content="{" + ",".join(members) + "}")


def _two_objects(answer: Answer) -> Answer:
    return replace(answer, content=f"{_text(answer)}\n{_text(answer)}")


def _trailing_comma(answer: Answer) -> Answer:
    content = _text(answer)
    return replace(answer, content=f"{content[:-1]},{content[-1:]}" if content.endswith(("}", "]")) else content + ",")


def _invalid(answer: Answer, candidates: list[Any]) -> Any:
    """The first candidate that breaks the schema; the first of all where none does or there is no schema."""
    if answer.schema is None:
        return candidates[0] if candidates else None
    validator = compiled(answer.schema).validator
    return next((one for one in candidates if not validator.is_valid(one)), candidates[0] if candidates else None)


def _dumped(answer: Answer, value: Any) -> Answer:
    return replace(answer, content=_json(value), value=value)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


_SPOILERS: dict[str, Callable[[Answer], Answer]] = {
    "prose": _prose,
    "fenced": lambda answer: replace(answer, content=f"```json\n{_text(answer)}\n```"),
    "truncated": _truncated,
    "wrong_type": _wrong_type,
    "missing_field": _missing_field,
    "extra_field": _extra_field,
    "empty": lambda answer: replace(answer, content=""),
    "html": lambda answer: replace(answer, content=HTML),
    "refusal": lambda answer: replace(answer, content=REFUSAL, finish="refusal"),
    "length": lambda answer: replace(_truncated(answer), finish="length"),
    "trailing_comma": _trailing_comma,
    "single_quotes": lambda answer: replace(answer, content=_text(answer).replace('"', "'")),
    "null_content": lambda answer: replace(answer, content=None),
    "missing_usage": lambda answer: replace(answer, usage=False),
    "wrong_content_length": lambda answer: replace(answer, wire="wrong_content_length"),
    "cut_stream": lambda answer: replace(answer, wire="cut_stream"),
    "not_json_body": lambda answer: replace(answer, wire="not_json_body"),
    "two_objects": _two_objects,
    "wrong_enum": _wrong_enum,
    "duplicate_keys": _duplicate_keys,
}
KINDS: tuple[str, ...] = tuple(_SPOILERS)
