"""Whether the OpenAPI document names what an answer carries."""

import re
from collections.abc import Iterator
from typing import Any

import httpx

Document = dict[str, Any]
OF_CONTENT = frozenset({"content-type", "content-length"})
"""OpenAPI describes the type as the kind of the content, and leaves it out of the headers."""


def unnamed(document: Document, answer: httpx.Response) -> list[str]:
    """Headers of `answer` that neither its response nor the document's description names."""
    method, path = answer.request.method, answer.request.url.path
    for template, operation in _operations(document, method.lower()):
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
            response = _response(operation["responses"], str(answer.status_code))
            known = {name.lower() for name in response.get("headers", {})} | OF_CONTENT
            of_all = document["info"]["description"].lower()
            missing = [name for name in answer.headers if name not in known and f"`{name}`" not in of_all]
            return [f"{method} {template} {answer.status_code}: {name}" for name in missing]
    return []


def _operations(document: Document, method: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Those whose path has the fewest variables first, as the routes are matched."""
    for path in sorted(document["paths"], key=lambda path: path.count("{")):
        if method in document["paths"][path]:
            yield path, document["paths"][path][method]


def _response(responses: dict[str, Any], status: str) -> dict[str, Any]:
    found: dict[str, Any] = responses.get(status) or responses.get(f"{status[0]}XX") or {}
    return found
