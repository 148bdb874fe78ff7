"""The span of a request that starts work: begun by its route, which knows its name, ended where its status is known."""

from starlette.requests import Request
from starlette.types import Scope

from api.bodies import header
from domain.tracing import Span, Tracing

_SPAN = "structured_prompt.span"


def begin(tracing: Tracing, request: Request, route: str) -> str:
    """What the request's messages carry on. `route` is a template, e.g. `/v1/sources/{name}/events`."""
    span = tracing.start(f"{request.method} {route}", header(request, b"traceparent"), "server")
    if span.recording:
        span.note({"http.request.method": request.method, "http.route": route, "url.scheme": request.url.scheme})
        request.scope[_SPAN] = span
    return span.traceparent


def end(scope: Scope, status: int) -> None:
    """A client's fault is no error of the server's span; status 0: the connection broke before an answer."""
    span: Span | None = scope.get(_SPAN)
    if span is None:
        return
    if status:
        span.note({"http.response.status_code": status})
    span.end(str(status or "disconnected") if status >= 500 or not status else "")
