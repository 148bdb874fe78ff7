"""GET /openai/v1/models, the list and one: what a request's `model` may be, as OpenAI's clients read it."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from starlette.responses import Response

from api import documentation
from api.analyze.outcome import JSON
from api.openai.asking import full_name
from api.problems import Problem
from domain.errors import InvalidRequest
from domain.routing.catalogue import Catalogue

OWNER = "structured-prompt"
_MODEL = {"id": "fast", "object": "model", "created": 0, "owned_by": OWNER}
_LIST = {"object": "list", "data": [_MODEL]}
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": documentation.answer("OpenAI's error object.", {"error": {"message": "…", "code": "model_not_found"}}),
    "5XX": documentation.answer("The same.", {"error": {"message": "…", "code": "unavailable"}}),
}
Name = Annotated[str, Path(max_length=255, description="An alias, `provider/model`, or a model's bare name.")]


def router(catalogue: Catalogue) -> APIRouter:
    routes = APIRouter()
    models = _models(catalogue)

    @routes.get(
        "/openai/v1/models", summary="List models as OpenAI does", operation_id="openai_models",
        responses={200: documentation.answer("Aliases, then models.", _LIST), **ERRORS}, response_class=Response,
    )  # fmt: skip
    async def list_models() -> Response:
        """What a request's `model` may be."""
        return Response(models, 200, media_type=JSON)

    @routes.get(
        "/openai/v1/models/{model:path}", summary="Read a model as OpenAI does", operation_id="openai_model",
        responses={200: documentation.answer("An alias or a model.", _MODEL), **ERRORS}, response_class=Response,
    )  # fmt: skip
    async def one_model(model: Name) -> Response:
        """Whether a request for this `model` can be answered: clients ask before they begin."""
        return Response(orjson.dumps(_one(model, catalogue)), 200, media_type=JSON)

    return routes


def _one(model: str, catalogue: Catalogue) -> dict[str, Any]:
    """Raises Problem where a request for it would be refused."""
    try:
        first, *_ = catalogue.resolve(full_name(model, catalogue))
    except InvalidRequest as error:
        raise Problem(error.code, str(error), error.problems) from None
    return _fields(model, OWNER if model in catalogue.aliases else first.provider)


def _models(catalogue: Catalogue) -> bytes:
    """Aliases first."""
    names = [(alias, OWNER) for alias, members in catalogue.aliases.items() if members]
    names += [(one.name, one.provider) for one in catalogue.deployments]
    return orjson.dumps({"object": "list", "data": [_fields(*name) for name in names]})


def _fields(name: str, owner: str) -> dict[str, Any]:
    """`created` has no meaning here."""
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
