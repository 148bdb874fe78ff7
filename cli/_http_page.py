"""docs/http.md: OpenAPI, to be read. `/docs` of a running API is the same document, to be tried."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from cli._http_parts import anchor, fields, operation, usual

HEAD = """\
# HTTP

Generated from `openapi.json` (OpenAPI 3.1, `$API_URL/openapi.json`) by `make docs`; do not edit. `$API_URL/docs` is the
same to try, `$API_URL/postman.json` the same for Postman.

"""
ERRORS = """
Whatever is not answered 2xx is a [problem](#problemdetails), `application/problem+json`; [errors](errors.md) says of
each code what it means and what to do. [Authentication](authentication.md) tells of keys and scopes. Every answer has
`X-Request-Id`; [what the other headers say](#headers-of-answers).
"""
USUAL = """
## Usual problems
What stands before the routes answers these; with the headers that they may have.

| answer | code | when | headers |
| --- | --- | --- | --- |"""
VERBS = ("get", "post", "put", "patch", "delete")
Document = Mapping[str, Any]


def page() -> str:
    """The whole page."""
    document = _document()
    subjects = {tag["name"]: list(_of(document, tag["name"])) for tag in document["tags"]}
    lines = [HEAD + document["info"]["description"].strip(), ERRORS.rstrip()]
    for tag in document["tags"]:
        lines += [f"\n## {_title(tag['name'])}\n{tag['description']}\n", *_list(subjects[tag["name"]])]
        for verb, path, one in subjects[tag["name"]]:
            lines += operation(verb, path, one)
    lines += [USUAL, *usual(one for several in subjects.values() for _, _, one in several)]
    lines += _headers(document["components"]["headers"])
    lines += [
        "\n## Objects\nFields without a default are required, or left out of an answer where there is nothing to say."
    ]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += fields(name, schema)
    return "\n".join(lines) + "\n"


class _Unused:
    """Stands for the ports: routes are described without them, but for the models that are listed."""

    def __init__(self, catalogue: object) -> None:
        self.catalogue = catalogue

    def __getattr__(self, name: str) -> "_Unused":
        return self


def _document() -> Document:
    from api.application import create_app
    from api.ports import ApiPorts
    from domain.routing.catalogue import Catalogue
    from domain.settings import Settings

    settings = Settings(
        kafka="kafka:9092", database_url="postgresql://a:b@postgres/c", redis_url="redis://redis/0",
        clickhouse_url="http://clickhouse/d", key_pepper="-" * 32,
    )  # fmt: skip
    ports = cast(ApiPorts, _Unused(Catalogue.simulated("http://provider/v1")))
    return create_app(ports, settings).openapi()


def _of(document: Document, tag: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, operations in document["paths"].items():
        for verb in VERBS:
            if verb in operations and operations[verb]["tags"] == [tag]:
                yield verb, path, operations[verb]


def _title(tag: str) -> str:
    return "OpenAI" if tag == "openai" else tag.capitalize()


def _list(operations: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Iterator[str]:
    yield "| route | |\n| --- | --- |"
    for verb, path, one in operations:
        name = f"{verb.upper()} {path}"
        yield f"| [`{name}`](#{anchor(name)}) | {one['summary']} |"


def _headers(headers: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Headers of answers\n| header | what it says | for example |\n| --- | --- | --- |"
    for name, header in headers.items():
        yield f"| `{name}` | {header['description']} | `{header['example']}` |"
