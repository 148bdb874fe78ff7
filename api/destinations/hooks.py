"""/v1/destinations/hooks: REST hooks, as Zapier and Make subscribe."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.analyze.outcome import JSON
from api.authentication import caller_of
from api.destinations.service import DestinationKeeper

_ASKED = {"hookUrl": "https://hooks.zapier.com/hooks/standard/1/abc/", "event": "request.completed"}
_HOOK = {"id": "zap_0197a3c0", "url": _ASKED["hookUrl"], "event": "request.completed", "kind": "zapier"}
_SAMPLE = [{"event": "request.completed", "id": "order-981", "output__label": "negative"}]
_SUBSCRIBED: dict[int | str, dict[str, Any]] = {
    201: documentation.answer("The `id` unsubscribes.", _HOOK), **documentation.errors("invalid_request"),
}  # fmt: skip
_SAMPLED: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("A list of one body.", _SAMPLE), **documentation.errors("invalid_request"),
}  # fmt: skip


def add(routes: APIRouter, destinations: DestinationKeeper) -> None:
    """Before the routes of a destination: its id could be `hooks`."""

    @routes.post(
        "/v1/destinations/hooks", summary="Subscribe a hook", operation_id="subscribe_hook", responses=_SUBSCRIBED,
        status_code=201, response_class=Response,
        openapi_extra={"requestBody": documentation.body("Hook", _ASKED)},
    )  # fmt: skip
    async def subscribe(request: Request) -> Response:
        """Bodies of one type of event, flat: `output: {label}` comes as `output__label`."""
        body = await destinations.subscribe(caller_of(request).tenant.name, await request.body())
        return Response(body, 201, media_type=JSON)

    @routes.delete(
        "/v1/destinations/hooks/{id}", summary="Unsubscribe a hook", operation_id="unsubscribe_hook", status_code=204,
        response_class=Response, responses=documentation.errors("not_found"),
    )  # fmt: skip
    async def unsubscribe(request: Request, id: str) -> Response:
        """What waits for it is not sent any more."""
        await destinations.delete(caller_of(request).tenant.name, id)
        return Response(status_code=204)

    @routes.get(
        "/v1/destinations/hooks/sample", summary="Look at a hook's body", operation_id="sample_hook",
        responses=_SAMPLED, response_class=Response,
    )  # fmt: skip
    async def sample(event: str = "request.completed") -> Response:
        """An example of what is sent, to map fields by."""
        return Response(destinations.sample(event), media_type=JSON)
