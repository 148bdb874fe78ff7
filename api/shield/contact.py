"""/.well-known/security.txt (RFC 9116): where to report a vulnerability."""

from collections.abc import Callable
from datetime import datetime, timedelta

from fastapi import APIRouter
from starlette.responses import Response

from api.problems import Problem
from topics.base import format_time

VALID_FOR = timedelta(days=180)  # the RFC recommends less than a year


def router(contact: str | None, now: Callable[[], datetime]) -> APIRouter:
    routes = APIRouter(tags=["operations"])

    @routes.get(
        "/.well-known/security.txt",
        summary="Security contact",
        responses={
            200: {
                "description": "RFC 9116.",
                "content": {"text/plain": {"example": "Contact: mailto:security@example.com\n"}},
            },
            404: {"description": "This service names no contact."},
        },
        response_class=Response,
    )
    async def security_txt() -> Response:
        """Where to report a vulnerability."""
        if contact is None:
            raise Problem("not_found", "STRUCTURED_PROMPT_SECURITY_CONTACT is not set here")
        expires = format_time(now() + VALID_FOR)
        lines = [f"Contact: {contact}", f"Expires: {expires}", "Preferred-Languages: en"]
        return Response("\n".join(lines) + "\n", media_type="text/plain")

    return routes
