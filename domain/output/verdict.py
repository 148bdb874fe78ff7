"""What a provider's reply is worth. Pure: the reply and the schema in, the outcome as data out."""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from domain.errors import Problem
from domain.output.mend import mend
from domain.output.schema import Checked, OutputSchema
from domain.routing.model import ModelReply

Outcome = Literal["ok", "invalid_output", "refused", "length"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`value` is the answer where the outcome is ok, and the text so far where a text was cut (length).

    repaired: the answer was JSON only after its punctuation was put right.
    """

    outcome: Outcome
    value: Any = None
    problems: tuple[Problem, ...] = ()
    repaired: bool = False


def judge(reply: ModelReply, schema: OutputSchema | None, mends: bool = False) -> Verdict:
    """The outcome of an attempt that was answered; its names are those of a usage record.

    mends: whether punctuation may be put right where the answer is not JSON. What is right needs none of it, and what
    was refused or cut by its limit gets none.
    """
    if reply.finish in ("refusal", "content_filter") or reply.refusal:
        return Verdict("refused", problems=(Problem("", reply.refusal or "the provider's filter stopped the answer"),))
    if reply.finish == "length":
        cut = Problem("", "was cut at max_tokens; allow more tokens or ask for less")
        return Verdict("length", reply.text if schema is None else None, (cut,))
    if not reply.text.strip():
        return Verdict("invalid_output", problems=(Problem("", "is empty"),))
    if schema is None or reply.tool_calls:
        # a call of the caller's tools is a question back: the schema is for the answer that follows it
        return Verdict("ok", reply.text)
    checked = schema.check(reply.text)
    if checked.ok:
        return Verdict("ok", checked.value)
    if mends and not checked.is_json:
        return _mended(reply.text, schema, checked)
    return Verdict("invalid_output", problems=checked.problems)


def _mended(text: str, schema: OutputSchema, before: Checked) -> Verdict:
    """The one valid value that mending finds. Without one: what breaks the schema, or else what was no JSON."""
    found = [checked for one in mend(text) if (checked := schema.check(one)).is_json]
    valid = {orjson.dumps(checked.value, option=orjson.OPT_SORT_KEYS): checked for checked in found if checked.ok}
    if len(valid) == 1:
        return Verdict("ok", valid.popitem()[1].value, repaired=True)
    if valid:
        return Verdict("invalid_output", problems=(Problem("", "holds several answers; give one"),))
    return Verdict("invalid_output", problems=found[0].problems if len(found) == 1 else before.problems)
