"""Bodies that a route reads itself."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from api import problems
from topics import codec

Body = TypeVar("Body", bound=BaseModel)


def read(kind: type[Body], body: bytes) -> Body:
    """An empty body is an empty object. Raises Problem (invalid_request) with the place of each fault."""
    try:
        return kind.model_validate(codec.read_object(body) if body.strip() else {})
    except codec.Unreadable as error:
        raise problems.of_unreadable(error) from None
    except ValidationError as error:
        raise problems.of_validation(error.errors(include_url=False, include_context=False)) from None
