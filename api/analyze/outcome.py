"""From a stored result to the answer of the synchronous route."""

from typing import Any

import orjson
from starlette.responses import Response

from api.problems import Problem, render, retry_header
from domain.errors import Problem as Reason

JSON = "application/json"
_JSON = JSON.encode()


def respond(result: bytes) -> Response:
    """200 with the bytes as they are stored, or the problem of its error with the result in it.

    The problem's request_id is the request's own id: a replay is the same body.
    """
    fields = orjson.loads(result)
    if fields["status"] == "completed":
        return Response(result, 200, media_type=JSON)
    return render(problem_of(fields), fields["id"])


def problem_of(fields: dict[str, Any]) -> Problem:
    """The problem that a failed or rejected PromptResult is."""
    error = fields.get("error") or {"code": "internal", "message": "the request failed without a reason"}
    reasons = tuple(Reason(e.get("path", ""), e.get("message", "")) for e in error.get("errors") or ())
    headers = retry_header(1) if error["code"] == "rate_limited" else {}
    return Problem(error["code"], error["message"], reasons, headers, {"result": fields})


class Accepted(Response):
    """A 202 with the job's address, put together without looking at what a response may be besides."""

    def __init__(self, id: str, status: str) -> None:
        self.status_code = 202
        self.background = None
        self.body = accepted(id, status)
        self.raw_headers = [
            (b"location", location(id).encode()),
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", _JSON),
        ]


def accepted(id: str, status: str) -> bytes:
    """The body of a 202."""
    return orjson.dumps({"id": id, "status": status, "links": links(id)})


def links(id: str) -> dict[str, str]:
    return {"self": location(id), "result": f"{location(id)}/result"}


def location(id: str) -> str:
    # every character an id may have is allowed in a path segment (RFC 3986, 3.3)
    return f"/v1/jobs/{id}"
