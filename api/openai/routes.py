"""POST /openai/v1/chat/completions, and the models: OpenAI's clients as they are, another `base_url`."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import documentation, spans
from api.analyze.live import Ended, EventStream, Happening, follow
from api.analyze.outcome import JSON
from api.analyze.routes import MAX_WAIT_S, wait_of
from api.analyze.service import Analyze, Begun, Patience
from api.analyze.submission import Ask, checked_key, id_of_key
from api.analyze.waiters import Standing
from api.authentication import caller_of
from api.openai import models
from api.openai.answering import Answer, chunks, unfinished
from api.openai.asking import Asked, asked
from api.problems import of_unreadable
from api.within import GIVE_UP_AT
from domain.routing.catalogue import Catalogue
from domain.tracing import Tracing
from topics import codec

_EXAMPLE = {"model": "fast", "messages": [{"role": "user", "content": "Where is my parcel?"}]}
_ANSWER = {
    "id": "order-981",
    "object": "chat.completion",
    "created": 1767225600,
    "model": "openai/gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "On its way."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16},
}
_BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(
        "A chat completion, or its chunks as server-sent events.", _ANSWER, sends=("X-Accel-Buffering",)
    ),
    **models.ERRORS,
}


class Completions:
    """Chat completions on the line of every other request: the same ledger, limits and bill."""

    def __init__(self, service: Analyze, catalogue: Catalogue, now: Callable[[], datetime]) -> None:
        self._service = service
        self._catalogue = catalogue
        self._now = now

    async def answer(self, request: Request, traceparent: str) -> Response:
        """The completion, or a stream of its chunks. Raises Problem."""
        question, ask = await self._read(request, traceparent)
        preferences = request.headers.getlist("prefer")
        wait = wait_of(preferences) if preferences else MAX_WAIT_S
        patience = Patience(request.scope[GIVE_UP_AT], wait)
        begun = await self._service.begin(ask, patience, watches=question.stream)
        if question.stream:
            return await self._stream(begun, question, wait)
        with begun:
            result = await self._service.wait(begun, wait)
        if result is None:
            raise unfinished(begun.id)
        return Response(Answer(result, question).completion(), 200, media_type=JSON)

    async def _read(self, request: Request, traceparent: str) -> tuple[Asked, Ask]:
        caller, body = caller_of(request), await request.body()
        try:
            question = asked(codec.read_object(body), self._catalogue)
        except codec.Unreadable as error:
            raise of_unreadable(error) from None
        key = checked_key(request.headers.get("idempotency-key"))
        if key is not None:
            # a repeat joins the first request, as the clients' own retries want it
            question.fields.setdefault("id", id_of_key(caller.tenant.name, key))
        ask = Ask(caller, orjson.dumps(question.fields), synchronous=True, traceparent=traceparent)
        return question, replace(ask, streams=question.stream, cut_is_answer=True)

    async def _stream(self, begun: Begun, question: Asked, wait: float) -> Response:
        """It begins with the first text, the result or a silence: what fails before has a status of its own."""
        happenings = follow(begun, self._service.wait, wait)
        try:
            first = await anext(happenings)
            while isinstance(first, Standing):
                first = await anext(happenings)
            if isinstance(first, Ended) and first.result is not None:
                Answer(first.result, question)
        except BaseException:
            begun.held.close()
            raise
        created = int(self._now().timestamp())
        return EventStream(chunks(begun.id, created, question, _chained(first, happenings)), begun)


async def _chained(first: Happening, rest: AsyncIterator[Happening]) -> AsyncIterator[Happening]:
    yield first
    async for happening in rest:
        yield happening


def router(completions: Completions, catalogue: Catalogue, tracing: Tracing) -> APIRouter:
    """Errors below /openai/ are OpenAI's error objects (api/rendering.py)."""
    routes = APIRouter(tags=["openai"])

    @routes.post(
        "/openai/v1/chat/completions",
        summary="Answer as OpenAI's chat completions do",
        operation_id="openai_chat_completions",
        responses=_RESPONSES,
        response_class=Response,
        openapi_extra={"requestBody": _BODY},
    )
    async def chat_completions(request: Request) -> Response:
        """Takes what OpenAI's clients send. An object `structured_prompt` in the body holds what is ours: `lane`,
        `tags`, `deadline`, `max_cost_usd`, `cache` and so on. `response_format` is checked as `output_schema` is.
        """
        return await completions.answer(request, spans.begin(tracing, request, "/openai/v1/chat/completions"))

    routes.include_router(models.router(catalogue))
    return routes
