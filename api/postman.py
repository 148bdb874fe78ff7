"""OpenAPI as a Postman collection (schema 2.1): every route as a request, with its examples filled in.

Variables are `base_url` and `api_key`, and the ids that answers tell: a request that makes something keeps its id, and
those that come later use it (postman_ids.py). Each request tests that its answer has a status that OpenAPI declares for
the route and that is no fault of ours, so that a run of the whole collection (newman, or Postman's runner) is a smoke
test.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from orjson import OPT_INDENT_2, dumps

from api.postman_ids import SENT, keeping, order, told

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
VERBS = ("get", "post", "put", "patch", "delete")
SAMPLES = {"integer": "1", "number": "1", "boolean": "true"}


def collection(document: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    """The collection of the OpenAPI `document`, a folder a subject."""
    folders: dict[str, list[dict[str, Any]]] = {}
    for path, verb, operation in _ordered(document):
        folders.setdefault(_subject(path), []).append(_item(path, verb, operation))
    information = document["info"]
    return {
        "info": {"name": information["title"], "description": information["description"], "schema": SCHEMA},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{api_key}}", "type": "string"}]},
        "variable": [{"key": "base_url", "value": base_url}, {"key": "api_key", "value": ""}, *_ids(document)],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def _ids(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Until an answer tells them they are the examples."""
    values = {
        one.variable: _sample(parameter)
        for path, _, operation in _operations(document)
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "path" and (one := told(path, parameter["name"])) is not None
    }
    return [{"key": name, "value": value} for name, value in values.items()]


def _ordered(document: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    found = enumerate(_operations(document))
    return [one for _, one in sorted(found, key=lambda place: order(place[1][0], place[1][1], place[0]))]


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, operations in document["paths"].items():
        for verb in VERBS:
            if verb in operations:
                yield path, verb, operations[verb]


def _subject(path: str) -> str:
    """`/v1/jobs/{id}` is about jobs, `/healthz` about the service."""
    parts = [part for part in path.split("/") if part and part != "v1"]
    return parts[0] if path.startswith("/v1/") or len(parts) > 1 else "service"


def _item(path: str, verb: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    request = {
        "method": verb.upper(),
        "description": operation.get("description", ""),
        "header": _parameters(operation, "header"),
        "url": _url(path, operation),
    }
    if (example := _body(operation)) is not None:
        request["header"] = [*request["header"], {"key": "Content-Type", "value": "application/json"}]
        request["body"] = {"mode": "raw", "raw": example, "options": {"raw": {"language": "json"}}}
    if not operation.get("security"):
        request["auth"] = {"type": "noauth"}
    name = operation.get("summary") or f"{verb.upper()} {path}"
    return {"name": name, "request": request, "event": [{"listen": "test", "script": _test(operation)}]}


def _url(path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    segments = [f":{part[1:-1]}" if part.startswith("{") else part for part in path.strip("/").split("/")]
    return {
        "raw": "{{base_url}}/" + "/".join(segments),
        "host": ["{{base_url}}"],
        "path": segments,
        "query": _parameters(operation, "query"),
        "variable": _told(path, _parameters(operation, "path")),
    }


def _parameters(operation: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    """The parameters of a place; those that may be left out are there, switched off."""
    sent = SENT.get(operation.get("operationId", ""), ())
    return [
        {
            "key": parameter["name"],
            "value": _sample(parameter),
            "description": parameter.get("description", ""),
            "disabled": not parameter.get("required", False) and parameter["name"] not in sent,
        }
        for parameter in operation.get("parameters", [])
        if parameter["in"] == place
    ]


def _told(path: str, variables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for variable in variables:
        if (one := told(path, variable["key"])) is not None:
            variable["value"] = "{{" + one.variable + "}}"
    return variables


def _sample(parameter: Mapping[str, Any]) -> str:
    schema = parameter.get("schema", {})
    given = parameter.get("example", schema.get("default"))
    return str(SAMPLES.get(schema.get("type"), "sample") if given is None else given)


def _body(operation: Mapping[str, Any]) -> str | None:
    """The first example of the body, as JSON; None for a route without one."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    examples = [example["value"] for example in content.get("examples", {}).values()]
    return dumps(content.get("example", examples[0] if examples else {}), option=OPT_INDENT_2).decode()


def _test(operation: Mapping[str, Any]) -> dict[str, Any]:
    statuses = [int(status) for status in operation["responses"] if status.isdigit() and int(status) < 500]
    return {
        "type": "text/javascript",
        "exec": [
            f'pm.test("answers as described", () => pm.expect({statuses}).to.include(pm.response.code));',
            *keeping(operation.get("operationId", "")),
        ],
    }
