"""A problem as the path's clients read it: problem+json, or OpenAI's error object below /openai/."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response
from starlette.types import Scope

from api import problems
from api.problems import Problem

OPENAI = "/openai/"
_OPENAI_STATUS: Mapping[str, int] = {
    "invalid_request": 400,
    "unknown_template": 400,
    "content_blocked": 400,
    "unknown_model": 404,
    "id_conflict": 400,
    "budget_exceeded": 429,
    "not_finished": 504,
}
"""Where OpenAI's status for the same thing is another one; its clients turn the status into an exception's class."""
_OPENAI_CODE: Mapping[str, str] = {
    "unauthenticated": "invalid_api_key",
    "unknown_model": "model_not_found",
    "rate_limited": "rate_limit_exceeded",
    "budget_exceeded": "insufficient_quota",
    "content_blocked": "content_filter",
}
_RETRIED = frozenset({"rate_limited", "unavailable", "in_progress"})
"""What OpenAI's clients may try again by themselves. Anything else was paid for, or fails again."""


def render_for(scope: Scope, problem: Problem, request_id: str, status: int | None = None) -> Response:
    """The response to a request for `scope`'s path; `status` overrides the code's own."""
    if scope["path"].startswith(OPENAI):
        return _openai(problem, status)
    return problems.render(problem, request_id, status)


def openai_error(problem: Problem) -> dict[str, object]:
    """OpenAI's error object. `param` is the first field at fault, as our own request names it."""
    code = _OPENAI_CODE.get(problem.code, problem.code)
    kind = "server_error" if openai_status(problem) >= 500 else "invalid_request_error"
    if code in ("rate_limit_exceeded", "insufficient_quota"):
        kind = code
    param = problem.errors[0].path.strip("/").replace("/", ".") if problem.errors else ""
    return {"message": problem.detail, "type": kind, "param": param or None, "code": code}


def openai_status(problem: Problem) -> int:
    return _OPENAI_STATUS.get(problem.code, problem.status)


def _openai(problem: Problem, status: int | None) -> Response:
    # https://github.com/openai/openai-python: the clients obey x-should-retry before they look at the status
    retry = {"x-should-retry": "true" if problem.code in _RETRIED else "false"}
    body = orjson.dumps({"error": openai_error(problem)})
    headers = {**problem.headers, **retry}
    return Response(body, status or openai_status(problem), headers, "application/json")
