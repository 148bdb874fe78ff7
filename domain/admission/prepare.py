"""From a request to the call that answers it: render the prompt, find the model, compile the schema. Pure.

The door and intake use the same preparation, so that they refuse the same things for the same reasons.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.caching.keys import cache_key, stamped
from domain.caching.semantic import asked_so, similar
from domain.errors import ForbiddenAddress, InvalidRequest, Problem
from domain.outgoing.addresses import Network
from domain.outgoing.places import NOWHERE, Places
from domain.outgoing.urls import check as check_url
from domain.output.schema import compile as compile_schema
from domain.prompting.library import Library
from domain.prompting.template import Template
from domain.routing.catalogue import Catalogue
from domain.routing.options import check as check_options
from domain.routing.parts import kinds
from domain.routing.references import read_here, still_unknown
from domain.safety.sanitise import sanitised, sanitised_messages
from domain.schemas.book import Book
from domain.schemas.model import is_reference
from topics.base import format_money, format_time
from topics.call import PromptCall
from topics.request import PromptRequest


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a request besides its body. Bytes are latin-1 text."""

    request_hash: str
    received_at: datetime
    key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reply_to: str | None = None
    api_key_id: str | None = None
    traceparent: str | None = None
    streams: bool = False
    cut_is_answer: bool = False


@dataclass(frozen=True, slots=True)
class Preparer:
    """Holds what preparing needs; `prepare` raises InvalidRequest with a code of contracts.md.

    `load` comes first: it fetches the named schemas of a batch, where there are any.
    places: where documents that a request refers to are read from, by infer.
    receivers: private networks that a `callback_url` may be in.
    """

    library: Library
    catalogue: Catalogue
    book: Book
    places: Places = NOWHERE
    receivers: tuple[Network, ...] = ()

    async def load(self, requests: Iterable[PromptRequest]) -> None:
        """Raises Unavailable."""
        named = [(one.tenant, one.output_schema) for one in requests if is_reference(one.output_schema)]
        if named:
            await self.book.load(named)

    def prepare(self, request: PromptRequest, origin: Origin) -> PromptCall:
        check_options(request.provider_options)
        if request.callback_url is not None:
            _check_callback(request.callback_url, self.receivers)
        template = self._template(request)
        messages = _messages(request, template)
        schema, schema_ref = self._schema(request, template)
        model = request.model if "model" in request.model_fields_set or template is None else template.model
        here, parts = [], kinds(messages)
        if parts and (here := read_here(messages, request.tenant, self.places)):
            parts = kinds(still_unknown(messages, here))
        self.catalogue.route(model, parts)
        parameters, stamp = _parameters(request, template), stamped(schema, schema_ref)
        # what a reference names may change: nothing that was read here is remembered, or shared
        key = None if here else self._cache_key(request, model, messages, parameters, stamp)
        return PromptCall(
            tenant=request.tenant,
            id=request.id,
            lane=request.lane,
            model=model,
            messages=messages,
            request_hash=origin.request_hash,
            submitted_at=format_time(request.submitted_at or origin.received_at),
            output_schema=schema,
            schema_ref=schema_ref,
            parameters=parameters,
            provider_options=request.provider_options,
            cache_key=key,
            cache_ttl_s=template.cache_ttl_s if template else None,
            fresh=request.cache == "refresh",
            similar=_similar(request, template, model, parameters, stamp),
            template={"name": template.name, "version": template.version} if template else None,
            deadline=format_time(request.deadline) if request.deadline else None,
            max_cost_usd=None if request.max_cost_usd is None else format_money(request.max_cost_usd),
            on_unknown_outcome=request.on_unknown_outcome,
            repair=request.repair.model_dump(exclude_none=True) if request.repair else None,
            limit_is_default="max_tokens" in parameters and request.parameters.max_tokens is None,
            reject_on_limit=request.on_limit == "reject",
            subject=request.subject,
            tags=request.tags,
            metadata=request.metadata,
            callback_url=request.callback_url,
            api_key_id=origin.api_key_id,
            reply_to=origin.reply_to,
            streams=origin.streams,
            cut_is_answer=origin.cut_is_answer,
            traceparent=origin.traceparent,
            key=origin.key,
            headers=list(origin.headers),
        )

    def _cache_key(
        self,
        request: PromptRequest,
        model: str,
        messages: list[dict[str, Any]],
        parameters: dict[str, Any],
        schema: dict[str, Any] | list[Any] | None,
    ) -> str | None:
        if request.cache == "bypass":
            return None
        return cache_key(request.tenant, model, messages, parameters, request.provider_options, schema)

    def _schema(
        self, request: PromptRequest, template: Template | None
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The JSON Schema, and the name and version where it has one."""
        schema = request.output_schema
        if schema is None:
            return template.output_schema if template else None, None
        if is_reference(schema):
            named = self.book.get(request.tenant, schema)
            return named.schema, named.ref
        compile_schema(schema)
        return schema, None

    def _template(self, request: PromptRequest) -> Template | None:
        if request.template is None:
            return None
        return self.library.get(request.template.name, request.template.version)


def _check_callback(url: str, receivers: tuple[Network, ...]) -> None:
    try:
        check_url(url, receivers)
    except ForbiddenAddress as error:
        raise InvalidRequest("invalid_request", str(error), [Problem("/callback_url", str(error))]) from None


def _messages(request: PromptRequest, template: Template | None) -> list[dict[str, Any]]:
    if template is not None and request.template is not None:
        return template.render(request.template.variables)
    if request.messages is not None:
        return _said(sanitised_messages([message.model_dump(exclude_none=True) for message in request.messages]))
    return _said([{"role": "user", "content": sanitised(request.prompt or "")}])


def _similar(request: PromptRequest, template: Template | None, *shape: Any) -> dict[str, Any] | None:
    if template is None or request.template is None or not asked_so(template.similar, request.cache):
        return None
    values = template.values(request.template.variables)
    named = (template.name, template.version, request.provider_options)
    return similar(template.similar, values, *named, *shape) if template.similar else None


def _said(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Raises InvalidRequest where nothing is left of what was said."""
    if any(message["content"] or message.get("tool_calls") for message in messages):
        return messages
    reason = "holds nothing that a reader would see: only hidden characters, or nothing at all"
    raise InvalidRequest("invalid_request", f"the prompt {reason}", [Problem("", reason)])


def _parameters(request: PromptRequest, template: Template | None) -> dict[str, Any]:
    given = request.parameters.model_dump(exclude_none=True) if request.parameters.model_fields_set else {}
    return {**template.parameters, **given} if template else given
