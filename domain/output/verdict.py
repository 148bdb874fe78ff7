"""What a provider's reply is worth. Pure: the reply and the schema in, the outcome as data out."""

from dataclasses import dataclass
from typing import Any, Literal

from domain.errors import Problem
from domain.output.schema import OutputSchema
from domain.routing.model import ModelReply

Outcome = Literal["ok", "invalid_output", "refused", "length"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`value` is the answer where the outcome is ok, and the text so far where a text was cut (length)."""

    outcome: Outcome
    value: Any = None
    problems: tuple[Problem, ...] = ()


def judge(reply: ModelReply, schema: OutputSchema | None) -> Verdict:
    """The outcome of an attempt that was answered; its names are those of a usage record."""
    if reply.finish in ("refusal", "content_filter") or reply.refusal:
        return Verdict("refused", problems=(Problem("", reply.refusal or "the provider's filter stopped the answer"),))
    if reply.finish == "length":
        cut = Problem("", "was cut at max_tokens; allow more tokens or ask for less")
        return Verdict("length", reply.text if schema is None else None, (cut,))
    if not reply.text.strip():
        return Verdict("invalid_output", problems=(Problem("", "is empty"),))
    if schema is None:
        return Verdict("ok", reply.text)
    checked = schema.check(reply.text)
    return Verdict("ok", checked.value) if checked.ok else Verdict("invalid_output", problems=checked.problems)
