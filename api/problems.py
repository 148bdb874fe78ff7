"""Every error of the API as RFC 9457 problem+json; the closed list of its codes is here."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from domain.errors import InvalidRequest, Transient
from domain.errors import Problem as Reason
from topics.codec import Unreadable

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 1.0

TITLES: Mapping[str, tuple[int, str]] = {
    # the door's own
    "unauthenticated": (401, "Authentication failed"),
    "forbidden": (403, "Not allowed"),
    "insufficient_scope": (403, "The API key lacks a scope"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "too_slow": (408, "The request came too slowly"),
    "not_finished": (409, "Not finished"),
    "finished": (409, "Already finished"),
    "exists": (409, "It exists already"),
    "in_use": (409, "It is in use"),
    "in_progress": (409, "A request with this Idempotency-Key is in progress"),
    "expired": (410, "No longer kept"),
    "too_large": (413, "Too large"),
    "unsupported_encoding": (415, "Unsupported content encoding"),
    "incompatible_schema": (409, "The new version does not fit the one before"),
    "unavailable": (503, "Temporarily unavailable"),
    # those of a result
    "invalid_request": (422, "Invalid request"),
    "unknown_template": (422, "Unknown template"),
    "unknown_model": (422, "Unknown model"),
    "id_conflict": (422, "The id is taken by another request"),
    "content_blocked": (422, "Content blocked"),
    "refused": (422, "The model refused"),
    "rate_limited": (429, "Rate limit exceeded"),
    "budget_exceeded": (402, "Budget exceeded"),
    "deadline_exceeded": (504, "Deadline exceeded"),
    "cancelled": (409, "Cancelled"),
    "invalid_output": (502, "The model's output is invalid"),
    "provider_error": (502, "The provider failed"),
    "unknown_outcome": (502, "The outcome is unknown"),
    "provider_timeout": (504, "The provider did not answer in time"),
    "internal": (500, "Internal error"),
    "result_too_large": (500, "The result is too large"),
}
_CODE_OF_STATUS = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}


@dataclass(eq=False)
class Problem(Exception):
    """One error answer. `code` is a key of TITLES; `extra` holds further members (`result`, `id`)."""

    code: str
    detail: str
    errors: tuple[Reason, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return TITLES[self.code][0]


def render(problem: Problem, request_id: str, status: int | None = None) -> Response:
    """The response; `status` overrides the code's own where a framework's error has no code of ours."""
    number = status or problem.status
    return Response(body(problem, request_id, number), number, dict(problem.headers), CONTENT_TYPE)


def body(problem: Problem, request_id: str, status: int | None = None) -> bytes:
    """The members of the problem, as JSON."""
    number, title = TITLES[problem.code]
    members = {
        "type": type_uri(problem.code),
        "title": title,
        "status": status or number,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        "errors": [{"path": reason.path, "message": reason.message} for reason in problem.errors],
        **problem.extra,
    }
    return orjson.dumps(members)


def type_uri(code: str) -> str:
    return "urn:problem-type:structured-prompt:" + code.replace("_", "-")


def of_unreadable(error: Unreadable) -> Problem:
    code = "too_large" if error.code == "too_large" else "invalid_request"
    return Problem(code, error.reason, tuple(Reason(path, message) for path, message in error.problems))


def of_invalid(error: InvalidRequest) -> Problem:
    return Problem(error.code if error.code in TITLES else "invalid_request", str(error), error.problems)


def of_transient(error: Transient, extra: Mapping[str, Any] | None = None) -> Problem:
    """503: what is missing stays in the log, since its message may name hosts."""
    return unavailable("a part of the service does not answer; try again", error.retry_after, extra)


def unavailable(detail: str, retry_after: float | None = None, extra: Mapping[str, Any] | None = None) -> Problem:
    return Problem("unavailable", detail, headers=retry_header(retry_after or RETRY_AFTER_S), extra=extra or {})


def of(error: Exception) -> Problem:
    """The problem that an exception is; anything unknown is our fault."""
    match error:
        case Problem():
            return error
        case InvalidRequest():
            return of_invalid(error)
        case Transient():
            return of_transient(error)
        case RequestValidationError():
            return of_validation(error.errors())
        case HTTPException():
            return of_http(error.status_code, error.detail, error.headers)
    return INTERNAL


def of_http(status: int, detail: str, headers: Mapping[str, str] | None) -> Problem:
    """What the framework raises: unknown routes, wrong methods."""
    code = _CODE_OF_STATUS.get(status, "internal" if status >= 500 else "invalid_request")
    return Problem(code, detail, headers={name.lower(): value for name, value in (headers or {}).items()})


def of_validation(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """Query and path parameters that FastAPI refused; the path is `/query/limit`."""
    reasons = tuple(Reason("".join(f"/{step}" for step in e["loc"]), str(e["msg"])) for e in errors)
    listed = "; ".join(f"{reason.path}: {reason.message}" for reason in reasons[:3])
    return Problem("invalid_request", listed or "the request is invalid", reasons)


def retry_header(seconds: float) -> dict[str, str]:
    """Whole seconds, at least one (RFC 9110, 10.2.3)."""
    return {"retry-after": str(max(1, math.ceil(seconds)))}


INTERNAL = Problem("internal", "something failed on our side; the request id finds it in the logs")
