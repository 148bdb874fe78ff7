"""The answer to a prompt: a value for its schema, or text."""

import re
from functools import partial
from typing import Any

import orjson

from ops.local.provider.answers import lexicon, translation
from ops.local.provider.answers.meaning import TextMeaning
from ops.local.provider.answers.reading import Reading
from ops.local.provider.schemas.filler import compiled

_DIRECTIVE = re.compile(r"\[\[simulate:\s*[\w-]*\s*\]\]\s*")
_MARKED = re.compile(r"<(text|document|message|review|input|content|ticket|email)>\s*(.*?)\s*</\1>", re.DOTALL)
_QUOTED = re.compile(r"\"\"\"\s*(.*?)\s*\"\"\"|```\w*\n(.*?)```", re.DOTALL)
_LABELLED = re.compile(r"(?:^|\n)\s*(?:text|message|review|document|input|email|ticket)\s*:\s*(.+)", re.DOTALL | re.I)
_TOLD = re.compile(
    r"^\s*(?:please\s+)?(?:translate|summari[sz]e|classify|extract|analy[sz]e|label|rate|find|what)\b[^:\n]{0,160}:\s+(.+)",
    re.DOTALL | re.IGNORECASE,
)


def subject_of(question: str) -> str:
    """The text that a prompt is about: what is marked, quoted or labelled in it, else what follows its first
    paragraph when that gives an instruction, else all of it."""
    if "[[" in question:
        question = _DIRECTIVE.sub("", question)
    for pattern in (_MARKED, _QUOTED, _LABELLED, _TOLD):
        if found := pattern.search(question):
            return next(group for group in reversed(found.groups()) if group is not None).strip()
    head, gap, rest = question.partition("\n\n")
    instruction = gap and (head.rstrip().endswith(":") or len(head) < len(rest))
    return (rest if instruction else question).strip()


def value(schema: Any, question: str, instructions: str) -> Any:
    """A value that fits `schema` and says something true of the question.

    Raises InvalidSchema.
    """
    reading = Reading(subject_of(question))
    code = partial(_target, question, instructions)
    return compiled(schema).fill(TextMeaning(reading, lambda: translation.into(code(), reading.text)))


def text(question: str, instructions: str) -> str:
    """An answer in words: a translation, a label, a summary or a short reply, whichever the prompt asks for."""
    reading = Reading(subject_of(question))
    asked = f"{instructions}\n{question}".lower()
    if code := translation.asked_for(asked):
        return translation.into(code, reading.text)
    if "sentiment" in asked:
        return reading.sentiment
    if "summar" in asked:
        return reading.summary
    if "keyword" in asked:
        return ", ".join(reading.keywords)
    if "entit" in asked:
        return ", ".join(f"{found.text} ({found.kind})" for found in reading.entities) or "none"
    return f"This is a simulated answer to: {reading.title or 'an empty question'}"


def embedded_schema(prompt: str) -> Any:
    """A JSON Schema written out in a prompt (how JSON mode is told what to answer), else one with an `answer`."""
    position = prompt.find("{")
    while position >= 0:
        found = _object_at(prompt, position)
        if isinstance(found, dict) and ("properties" in found or "$defs" in found or found.get("type") in _TYPES):
            return found
        position = prompt.find("{", position + 1)
    return _ANY_ANSWER


def told_schema(instructions: str) -> Any:
    """The JSON Schema that instructions give after the words "JSON Schema:", None when they give none."""
    told = _SCHEMA_TOLD.search(instructions)
    return _object_at(instructions, told.end() - 1) if told else None


_SCHEMA_TOLD = re.compile(r"\bJSON Schema:\s*\{")
_TYPES = ("object", "array", "string", "number", "integer", "boolean")
_ANY_ANSWER = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
_MOST_OBJECT = 65_536


def _object_at(prompt: str, start: int) -> Any:
    depth = 0
    for brace in re.finditer(r"[{}]", prompt[start : start + _MOST_OBJECT]):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            try:
                return orjson.loads(prompt[start : start + brace.end()])
            except orjson.JSONDecodeError:
                return None
    return None


def _target(question: str, instructions: str) -> str:
    found = translation.asked_for(f"{instructions}\n{question}")
    return found if found in lexicon.LANGUAGE_NAMES else "de"
