"""What /openapi.json says beside the routes: problems, examples, security, the bodies that routes read themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import answer_headers, documented, scopes, words
from api.budget_schemas import BudgetFields, NewBudget
from api.destination_schemas import DestinationChange, Hook, NewDestination, Redelivery
from api.export_schemas import ExportOrder, NewSchedule, SchedulePause
from api.limit_schemas import LimitFields, TenantLimits
from api.problems import CONTENT_TYPE, TITLES, type_uri
from api.redrive_schemas import RedriveMany, RedriveOne
from api.sink_schemas import SinkReplay
from api.source_schemas import NewSource
from api.webhook_schemas import NewWebhook, WebhookChange
from domain.forgetting.invalidation import Invalidation
from topics.examples import EXAMPLES
from topics.request import PromptRequest
from topics.result import FieldError, PromptResult

DESCRIPTION = """
Send a prompt, get a validated, structured and billed answer.

Every request is stored and published before it is acknowledged: what was answered 2xx is never lost, and repeating an
id never pays twice. Errors are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) `application/problem+json`;
`code` tells them apart. Send your API key as `Authorization: Bearer sp_live_…`.
"""
REFERENCE = "#/components/schemas/"
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, `sp_live_…`, with this scope."},
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key.",
    },
}


class ProblemDetails(BaseModel):
    """An RFC 9457 problem. `result` is there when a result is the reason, `id` when it names what to retry with."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError]
    result: PromptResult | None = None
    id: str | None = None


READ = (
    PromptRequest, RedriveMany, RedriveOne, Invalidation, BudgetFields, NewBudget, SinkReplay, ExportOrder, NewWebhook,
    WebhookChange, NewDestination, DestinationChange, Redelivery, Hook, LimitFields, TenantLimits, NewSchedule,
    SchedulePause, NewSource,
)  # fmt: skip
COMPONENTS = (PromptResult, ProblemDetails, *READ)
_SENT = EXAMPLES["PromptRequest"]
REQUEST_EXAMPLE = {name: _SENT[name] for name in ("id", "prompt", "output_schema", "tags")} | {"model": "fast"}
TEMPLATE_EXAMPLE = {"template": {"name": "sentiment", "variables": {"text": "The parcel came a day early."}}}
RESULT_EXAMPLE = {**EXAMPLES["PromptResult"], "api_key_id": "key_93ac0f1b22d4e677"}
ALWAYS = ("unauthenticated", "forbidden", "insufficient_scope", "unavailable", "internal")
_STATUSES = {code: status for code, (status, _) in TITLES.items()}
_DETAILS = {
    "unauthenticated": "the API key is unknown or revoked",
    "forbidden": "this is for operators of the service: the key's tenant is not in STRUCTURED_PROMPT_OPERATORS",
    "insufficient_scope": "the API key has no scope 'requests:read', which this needs; it has requests:write",
    "not_found": "no job has the id 'order-981'",
    "not_finished": "the job is running; its result is not there yet",
    "finished": "job 'order-981' was completed before it could be cancelled; nothing is changed",
    "in_progress": "the first request with this Idempotency-Key has not been answered yet; repeat it later",
    "exists": "there is a budget 'support' already; nothing was changed",
    "expired": "request 'order-981' is finished and its result is no longer kept",
    "too_slow": "the body was not there within 30 s",
    "unsupported_encoding": "send the body without Content-Encoding",
    "too_large": "a body may have 1048576 bytes",
    "invalid_request": "/promt: unknown field",
    "rate_limited": "the limit of 600 requests a minute is used up; try again in 3 s",
    "provider_error": "openai answered 500 five times",
    "provider_timeout": "openai did not answer within 60 s",
    "unavailable": "the broker does not answer; repeat the request with the id 'order-981', which is worked on once",
    "internal": "something failed on our side; the request id finds it in the logs",
    "budget_exceeded": "the budget of acme for this month is used up",
}


def errors(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route under /v1, those every one may give included."""
    by_status: dict[int | str, list[str]] = {}
    for code in dict.fromkeys((*codes, *ALWAYS)):
        by_status.setdefault(TITLES[code][0], []).append(code)
    return {status: _problem_response(of_status) for status, of_status in by_status.items()}


def answer(description: str, example: Any, model: str | None = None, sends: tuple[str, ...] = ()) -> dict[str, Any]:
    """A successful response; `model` names a schema of COMPONENTS, `sends` headers of words.yaml."""
    content: dict[str, Any] = {"example": example}
    content["schema"] = (
        {"$ref": REFERENCE + model} if model else {"type": "array" if isinstance(example, list) else "object"}
    )
    headers = answer_headers.of(*sends)
    return {"description": description, "content": {"application/json": content}, "headers": headers}


def request_body() -> dict[str, Any]:
    """The body of the routes that start work, with its examples."""
    own = {"a prompt with a schema": REQUEST_EXAMPLE, "a template": TEMPLATE_EXAMPLE}
    examples = {name: {"value": value} for name, value in own.items()}
    content = {"schema": {"$ref": REFERENCE + "AnalyzeRequest"}, "examples": examples}
    return {"required": True, "content": {"application/json": content}}


def body(model: str, example: Any, *, required: bool = True) -> dict[str, Any]:
    """The body of a route that reads it itself; `model` names a schema of COMPONENTS."""
    content = {"schema": {"$ref": REFERENCE + model}, "example": example}
    return {"required": required, "content": {"application/json": content}}


def header(name: str, description: str, example: str) -> dict[str, Any]:
    """An optional header that a route reads itself."""
    schema = {"type": "string"}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema,
            "example": example}  # fmt: skip


def complete(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of `app`; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION + answer_headers.BROWSERS, routes=app.routes
        )
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas.update(_components())
        components["securitySchemes"] = SCHEMES
        for path, operations in document["paths"].items():
            keyed = path.startswith(("/v1/", "/openai/")) and path != "/v1/sources/{name}/events"
            for method, operation in operations.items():
                operation["security"] = _security(scopes.needed(method.upper(), path)) if keyed else []
                documented.complete(path, operation, _STATUSES, _problem_response)
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        words.complete(document)
        app.openapi_schema = document
    return app.openapi_schema


def _security(scope: str) -> list[dict[str, list[str]]]:
    """A key in either header. OpenAPI 3.1 allows names of rights for every kind of scheme."""
    return [{scheme: [scope]} for scheme in SCHEMES]


def _components() -> dict[str, Any]:
    _, definitions = models_json_schema(
        [(model, "validation" if model in READ else "serialization") for model in COMPONENTS],
        ref_template=REFERENCE + "{model}",
    )
    schemas: dict[str, Any] = definitions["$defs"]
    body = dict(schemas["PromptRequest"])
    body["title"] = "AnalyzeRequest"
    body["description"] = "One prompt to answer. Required: exactly one of `prompt`, `messages`, `template`."
    body["required"] = [name for name in body.get("required", []) if name not in ("id", "tenant")]
    body["properties"] = {name: schema for name, schema in body["properties"].items() if name != "tenant"}
    return {**schemas, "AnalyzeRequest": body}


def _problem_response(codes: list[str]) -> dict[str, Any]:
    examples = {code: {"value": _problem_example(code)} for code in codes}
    content = {"schema": {"$ref": REFERENCE + "ProblemDetails"}, "examples": examples}
    return {"description": ", ".join(TITLES[code][1] for code in codes), "content": {CONTENT_TYPE: content}}


def _problem_example(code: str) -> dict[str, Any]:
    status, title = TITLES[code]
    reasons = [{"path": "/promt", "message": "unknown field"}] if code == "invalid_request" else []
    return {
        "type": type_uri(code),
        "title": title,
        "status": status,
        "detail": _DETAILS.get(code, title),
        "code": code,
        "request_id": "0197a3c0-5d3e-7cc1-b0a7-3f6f3d2f5f11",
        "errors": reasons,
    }
