"""POST /v1/analyze and POST /v1/analyze/async."""

import re
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import documentation, spans
from api.analyze.live import EventStream, events, follow
from api.analyze.outcome import links
from api.analyze.service import Analyze, Patience
from api.analyze.submission import Ask, checked_key
from api.authentication import caller_of
from api.bodies import header, whole
from api.refusing import REQUEST_ID
from api.within import GIVE_UP_AT
from domain.tracing import Tracing

DEFAULT_WAIT_S = 30.0
MAX_WAIT_S = 120.0
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,9})\"?")
_KEY = documentation.header(
    "Idempotency-Key",
    "Makes a repeat of this request safe: for 24 hours it is answered as the first one was.",
    "7f3d2f5f-order-981",
)
_PREFER = documentation.header(
    "Prefer", "`wait=N`: wait up to N seconds (default 30, at most 120; 0 answers at once). RFC 7240.", "wait=10"
)
_ACCEPTED = {"id": "order-981", "status": "accepted", "links": links("order-981")}
_SYNCHRONOUS: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("Completed.", documentation.RESULT_EXAMPLE, "PromptResult", ("X-Accel-Buffering",)),
    202: documentation.answer("Accepted, not finished in time; `Location` is its job.", _ACCEPTED, sends=("Location",)),
    **documentation.errors(
        "invalid_request", "unknown_template", "unknown_model", "id_conflict", "refused", "content_blocked",
        "too_large", "in_progress", "cancelled", "rate_limited", "budget_exceeded", "invalid_output", "provider_error",
        "unknown_outcome", "provider_timeout", "deadline_exceeded", "expired", "result_too_large",
    ),
}  # fmt: skip
_ASYNCHRONOUS: dict[int | str, dict[str, Any]] = {
    202: documentation.answer("Accepted; it is visible as a job from now on.", _ACCEPTED, sends=("Location",)),
    **documentation.errors(
        "invalid_request", "unknown_template", "unknown_model", "id_conflict", "too_large", "in_progress",
        "rate_limited",
    ),
}  # fmt: skip


def router(service: Analyze, tracing: Tracing) -> APIRouter:
    """Both routes read their body themselves: it is checked once, by the codec."""
    routes = APIRouter(tags=["analyze"])

    @routes.post(
        "/v1/analyze",
        summary="Answer a prompt",
        operation_id="analyze",
        responses=_SYNCHRONOUS,
        response_class=Response,
        openapi_extra={"requestBody": documentation.request_body(), "parameters": [_KEY, _PREFER]},
    )
    async def analyze(request: Request) -> Response:
        """Waits for the answer: 200 with the result, a problem that carries it, or 202 with the job's address.

        A repeat of an `id` with the same body joins the first request or is answered with its stored result.
        With `Accept: text/event-stream` the answer is server-sent events: `accepted`, `waiting` and `running` as it
        goes, `delta` with text as it is written (without a schema), then `result`, `error`, or `pending` when the wait
        is over.
        """
        preferences = request.headers.getlist("prefer")
        wait = wait_of(preferences)
        ask = await _ask(request, spans.begin(tracing, request, "/v1/analyze"), synchronous=True)
        patience = Patience(request.scope[GIVE_UP_AT], wait)
        if wants_events(request.headers.get("accept", "")):
            return await _stream(service, ask, patience, request.scope[REQUEST_ID])
        response = await service.synchronous(ask, patience)
        if preferences and wait != DEFAULT_WAIT_S:
            response.headers["preference-applied"] = f"wait={wait:.0f}"
        return response

    @routes.post(
        "/v1/analyze/async",
        summary="Answer a prompt later",
        operation_id="analyze_async",
        status_code=202,
        responses=_ASYNCHRONOUS,
        response_class=Response,
        openapi_extra={"requestBody": documentation.request_body(), "parameters": [_KEY]},
    )
    async def analyze_async(request: Request) -> Response:
        """Answers 202 as soon as the request is durable; `GET /v1/jobs/{id}` tells how it goes."""
        ask = await _ask(request, spans.begin(tracing, request, "/v1/analyze/async"), synchronous=False)
        return await service.asynchronous(ask, Patience(request.scope[GIVE_UP_AT]))

    return routes


def wait_of(preferences: list[str]) -> float:
    """Seconds to wait. An unknown preference is ignored (RFC 7240, 2); `respond-async` alone means not at all."""
    for preference in ",".join(preferences).split(","):
        match = _WAIT.fullmatch(preference.strip().lower())
        if match:
            return min(float(match[1]), MAX_WAIT_S)
    return 0.0 if any("respond-async" in value.lower() for value in preferences) else DEFAULT_WAIT_S


def wants_events(accept: str) -> bool:
    """Whether server-sent events are what the client asks for, and not one of many things it would take."""
    return accept.partition(";")[0].partition(",")[0].strip().lower() == "text/event-stream"


async def _stream(service: Analyze, ask: Ask, patience: Patience, request_id: str) -> Response:
    """The stream begins when the broker has the request; what is refused before is a problem as ever."""
    begun = await service.begin(replace(ask, streams=True), patience, watches=True)
    return EventStream(events(begun, follow(begun, service.wait, patience.wait_s), request_id), begun)


async def _ask(request: Request, traceparent: str, *, synchronous: bool) -> Ask:
    key = checked_key(header(request, b"idempotency-key"))
    return Ask(caller_of(request), await whole(request), synchronous, traceparent, key)
