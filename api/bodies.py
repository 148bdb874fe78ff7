"""Bodies that a route reads itself."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from api import problems
from topics import codec

Body = TypeVar("Body", bound=BaseModel)


async def whole(request: Request) -> bytes:
    """The body as it came. Raises ClientDisconnect, and the problems of api/middleware.py."""
    parts: list[bytes] = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def header(request: Request, name: bytes) -> str | None:
    """The first value of a header, whose name is given in small letters, without reading the others."""
    for one, value in request.scope["headers"]:
        if one == name:
            return str(value, "latin-1")
    return None


def read(kind: type[Body], body: bytes) -> Body:
    """An empty body is an empty object. Raises Problem (invalid_request) with the place of each fault."""
    try:
        return kind.model_validate(codec.read_object(body) if body.strip() else {})
    except codec.Unreadable as error:
        raise problems.of_unreadable(error) from None
    except ValidationError as error:
        raise problems.of_validation(error.errors(include_url=False, include_context=False)) from None
