"""Every route of the OpenAPI document that the deployment itself serves, asked once with the examples of the document.

What is made for it is removed by it: things first, then what names them, then the removals. A name in a path is that of
the thing that was made under it; where nothing was, it is made up, and a 404 is the right answer.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

VERBS = ("post", "put", "get", "patch", "delete")
PATIENCE = 30.0
ABSENT = "01890000-0000-7000-8000-000000000000"
PARAMETER = re.compile(r"\{(\w+)\}")
# who is refused before the route is reached has not asked it
NOT_ASKED = frozenset((401, 405, 408, 429))


@dataclass(frozen=True, slots=True)
class Operation:
    """A route and a verb, and how the document describes them. `allowed` holds `404` and `4XX`."""

    verb: str
    path: str
    body: Any
    query: Mapping[str, str]
    allowed: frozenset[str]

    def expects(self, status: int) -> bool:
        described = str(status) in self.allowed or f"{status // 100}XX" in self.allowed
        return described and status < 500 and status not in NOT_ASKED


@dataclass(frozen=True, slots=True)
class Asked:
    operation: Operation
    path: str
    status: int
    problem: str | None


@dataclass(slots=True)
class Round:
    """One round over all operations. `made` is what a POST answered, by its path; `pause` the seconds after a 503."""

    client: httpx.Client
    inside: frozenset[str]
    made: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    pause: float = 1.0

    def run(self, document: Mapping[str, Any]) -> list[Asked]:
        return [self._ask(operation) for operation in in_order(document)]

    def _ask(self, operation: Operation) -> Asked:
        path, real = self._filled(operation.path)
        answer = self._answer(operation, path)
        if operation.path in self.inside:
            hidden = answer.status_code == 404
            return Asked(operation, path, answer.status_code, None if hidden else "is for the network inside only")
        self._remember(operation, answer)
        return Asked(operation, path, answer.status_code, _problem(operation, answer, real))

    def _answer(self, operation: Operation, path: str) -> httpx.Response:
        """A 503 says when to come again: so does this, for half a minute."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.client.request(
                operation.verb.upper(), path, params=dict(operation.query), json=operation.body, timeout=60
            )
            if answer.status_code != 503 or time.monotonic() > deadline:
                return answer
            time.sleep(self.pause)

    def _filled(self, path: str) -> tuple[str, bool]:
        """The path with names for its parameters, and whether they are those of things that exist."""
        real = True
        while found := PARAMETER.search(path):
            parent = path[: found.start() - 1]
            value = self.made.get(PARAMETER.sub("{}", parent), {}).get(found[1])
            real = real and value is not None
            path = path[: found.start()] + str(value or ABSENT) + path[found.end() :]
        return path, real

    def _remember(self, operation: Operation, answer: httpx.Response) -> None:
        if operation.verb == "post" and answer.is_success and "json" in answer.headers.get("content-type", ""):
            found = answer.json()
            if isinstance(found, dict):
                self.made.setdefault(operation.path, found)
                if operation.path == "/v1/analyze/async":
                    self.made["/v1/jobs"] = found


def described(document: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(verb, path) of all that the document holds, verbs that are not known here included."""
    beside = {"parameters", "summary", "description", "servers", "$ref"}
    return {(verb, path) for path, found in document["paths"].items() for verb in found if verb not in beside}


def in_order(document: Mapping[str, Any]) -> list[Operation]:
    """All of them: what makes things first, what removes them last, the longest path of those first."""
    found = list(operations(document))
    return sorted(found, key=lambda one: (VERBS.index(one.verb), -len(one.path) if one.verb == "delete" else 0))


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, described in document["paths"].items():
        for verb in VERBS:
            if verb in described:
                yield _operation(verb, path, described[verb])


def _operation(verb: str, path: str, described: Mapping[str, Any]) -> Operation:
    required = [one for one in described.get("parameters", []) if one["in"] == "query" and one.get("required")]
    query = {one["name"]: str(one.get("example", one.get("schema", {}).get("default", "1"))) for one in required}
    return Operation(verb, path, _body(described), query, frozenset(described["responses"]))


def _body(described: Mapping[str, Any]) -> Any:
    """The first example, less its id: an id that was used before would be answered from before."""
    content = described.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    examples = [example["value"] for example in content.get("examples", {}).values()]
    body = content.get("example", examples[0] if examples else {})
    return {name: value for name, value in body.items() if name != "id"} if isinstance(body, dict) else body


def _problem(operation: Operation, answer: httpx.Response, real: bool) -> str | None:
    if not operation.expects(answer.status_code):
        return f"{answer.status_code} is not what the document describes: {answer.text[:200]}"
    readable = operation.verb == "get" and real and operation.path.startswith("/v1/")
    if readable and not answer.is_success and answer.status_code not in (403, 409):
        return f"{answer.status_code} where there is something to read: {answer.text[:200]}"
    return None
