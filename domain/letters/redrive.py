"""What a redrive of one letter does: the call of the next run, or the record to publish again. Pure.

A letter of a run (its request failed after calls) starts the next run of that request. The new run has no deadline,
since the old one was the first run's, and nobody waits for its reply; all else stays, but for what is edited. A letter
of a record that never became a request is published again as it came, once its cause was mended.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from domain.admission.prepare import Origin, Preparer
from domain.caching.keys import cache_key, stamped
from domain.errors import InvalidRequest, Problem
from domain.letters.model import Letter
from domain.output.schema import compile as compile_schema
from domain.schemas.model import is_reference
from topics import headers as head
from topics.base import format_time
from topics.call import PromptCall
from topics.codec import Read, Unreadable, body_hash, check_request, read_object, request_hash
from topics.table import CALLS, is_requests

_HASH_VERSION = b"\x01"


@dataclass(frozen=True, slots=True)
class Edit:
    """What to change on the way; None leaves it as it was.

    template: {"name", "version", "variables"}, the last two optional: without variables those of the request are taken
    """

    model: str | None = None
    output_schema: Mapping[str, Any] | None = None
    template: Mapping[str, Any] | None = None

    @property
    def needs_original(self) -> bool:
        """Whether the variables of the request are wanted, which only its own record holds."""
        return self.template is not None and self.template.get("variables") is None

    @property
    def empty(self) -> bool:
        return (self.model, self.output_schema, self.template) == (None, None, None)


@dataclass(frozen=True, slots=True)
class Kept:
    """The record in a letter."""

    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = field(default=())


def kept(letter: Letter) -> Kept:
    """Raises InvalidRequest when the record was too large to be kept whole."""
    body = orjson.loads(letter.body or b"{}")
    value = base64.b64decode(body.get("value") or "")
    if len(value) != body.get("size", len(value)):
        said = f"{body['size']} bytes, of which only the first {len(value)} were kept; send it again where it came from"
        raise InvalidRequest("invalid_request", said)
    key = body.get("key")
    headers = tuple((name, base64.b64decode(text)) for name, text in body.get("headers", ()))
    return Kept(value, None if key is None else base64.b64decode(key), headers)


def next_call(letter: Letter, edit: Edit, original: bytes | None, preparer: Preparer, now: datetime) -> PromptCall:
    """The call of the next run. `original` is the request's record where the edit needs it and it is still kept.

    Raises InvalidRequest: the edit does not fit, or what it needs is gone.
    """
    record = kept(letter)
    call = _call(letter, record, preparer, now)
    if edit.template is not None:
        source = record.value if is_requests(letter.topic) else original
        call = _templated(call, edit, source, preparer, now)
    elif not edit.empty:
        call = _edited(call, edit, preparer)
    preparer.catalogue.resolve(call.model)
    return replace(call, deadline=None, reply_to=None, submitted_at=format_time(now))


def reference_in(letter: Letter) -> Mapping[str, Any] | None:
    """The named schema that the request in a letter asks for, if it does."""
    if not is_requests(letter.topic):
        return None
    try:
        schema = read_object(kept(letter).value).get("output_schema")
    except (Unreadable, InvalidRequest):
        return None
    return schema if isinstance(schema, dict) and is_reference(schema) else None


def next_record(letter: Letter, edit: Edit) -> bytes | None:
    """What to publish instead of the record as it came, None where nothing is edited. Raises InvalidRequest."""
    record = kept(letter)
    if edit.empty:
        return None
    if not is_requests(letter.topic):
        raise InvalidRequest("invalid_request", f"a record of {letter.topic} is published as it came: edit nothing")
    return edited(record.value, edit)


def edited(value: bytes, edit: Edit) -> bytes:
    """A request with the edit, unless that is empty. Raises InvalidRequest."""
    if edit.empty:
        return value
    try:
        fields = read_object(value)
        _apply(fields, edit)
        value = orjson.dumps(fields)
        check_request(read_object(value), value)
    except Unreadable as error:
        raise InvalidRequest("invalid_request", f"it is no request: {error.reason}") from None
    return value


def body_hash_of(call: PromptCall) -> bytes:
    """The hash of the body that the sender sent, as the claim stores it."""
    return _HASH_VERSION + bytes.fromhex(call.request_hash.removeprefix("sha256:"))


def _call(letter: Letter, record: Kept, preparer: Preparer, now: datetime) -> PromptCall:
    if letter.topic in CALLS.values():
        return PromptCall.decode(record.value)
    try:
        fields = read_object(record.value)
        read = check_request(fields, record.value)
    except Unreadable as error:
        raise InvalidRequest("invalid_request", f"it is no request: {error.reason}") from None
    named = dict(record.headers)
    origin = Origin(
        request_hash=request_hash(body_hash(fields)),
        received_at=now,
        key=record.key.decode("latin-1") if record.key else None,
        headers=tuple(head.carried(record.headers)),
        api_key_id=head.text_of(named, head.API_KEY),
        traceparent=head.text_of(named, head.TRACEPARENT),
    )
    return preparer.prepare(read.request, origin)


def _edited(call: PromptCall, edit: Edit, preparer: Preparer) -> PromptCall:
    """Another model, another schema; the messages stay as they were rendered."""
    schema, ref = call.output_schema, call.schema_ref
    if is_reference(edit.output_schema):
        named = preparer.book.get(call.tenant, edit.output_schema)
        schema, ref = named.schema, named.ref
    elif edit.output_schema is not None:
        schema, ref = dict(edit.output_schema), None
        compile_schema(schema)
    model = edit.model or call.model
    preparer.catalogue.resolve(model)
    key = call.cache_key
    if key is not None:
        key = cache_key(call.tenant, model, call.messages, call.parameters, call.provider_options, stamped(schema, ref))
    return replace(call, model=model, output_schema=schema, schema_ref=ref, cache_key=key)


def _templated(call: PromptCall, edit: Edit, source: bytes | None, preparer: Preparer, now: datetime) -> PromptCall:
    """Rendered anew; who it belongs to and where its result goes stay."""
    read = _request(call, edit, source)
    origin = Origin(
        request_hash=call.request_hash,
        received_at=now,
        key=call.key,
        headers=tuple((name, value) for name, value in call.headers),
        api_key_id=call.api_key_id,
        traceparent=call.traceparent,
    )
    return replace(preparer.prepare(read.request, origin), batch_id=call.batch_id)


def _request(call: PromptCall, edit: Edit, source: bytes | None) -> Read:
    if source is None and edit.needs_original:
        gone = "the request's record is not kept any more (7 days), and with it the variables; give them in the edit"
        raise InvalidRequest("invalid_request", gone, [Problem("/edit/template/variables", "is required")])
    try:
        fields = read_object(source) if source is not None else _fields(call)
        _apply(fields, edit)
        return check_request(fields, orjson.dumps(fields))
    except Unreadable as error:
        raise InvalidRequest("invalid_request", f"with the edit it is no request: {error.reason}") from None


def _fields(call: PromptCall) -> dict[str, Any]:
    """A request that says what the call says, but for its prompt, which the template brings."""
    same = ("tenant", "id", "lane", "model", "provider_options", "max_cost_usd", "on_unknown_outcome", "subject",
            "tags", "metadata", "callback_url")  # fmt: skip
    given = {name: getattr(call, name) for name in same}
    return {name: value for name, value in given.items() if value is not None}


def _apply(fields: dict[str, Any], edit: Edit) -> None:
    if edit.template is not None:
        before = fields.get("template")
        variables = edit.template.get("variables")
        if variables is None:
            variables = before.get("variables", {}) if isinstance(before, dict) else {}
        template = {"name": edit.template.get("name"), "version": edit.template.get("version"), "variables": variables}
        fields.update(template={name: value for name, value in template.items() if value is not None})
        fields.pop("prompt", None)
        fields.pop("messages", None)
    if edit.model is not None:
        fields["model"] = edit.model
    if edit.output_schema is not None:
        fields["output_schema"] = dict(edit.output_schema)
    fields.pop("deadline", None)
