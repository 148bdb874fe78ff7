"""The sample job agrees with itself: what it expects is what its lines say."""

from pathlib import Path

import orjson

from domain.errors import InvalidRequest
from domain.prompting.library import Library
from ops.local import samples

FOLDER = Path(samples.__file__).parent
LIBRARY = Library.load([Path(__file__).parents[2] / "domain/prompting/library"])
LINES = (FOLDER / "requests.jsonl").read_bytes().splitlines()
EXPECTED = orjson.loads((FOLDER / "expected.json").read_bytes())


def _readable() -> list[dict[str, object]]:
    found = []
    for line in LINES:
        try:
            found.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            continue
    return found


def test_the_counts_are_those_of_the_lines() -> None:
    readable = _readable()
    assert len(LINES) == EXPECTED["lines"] >= 60
    assert len(LINES) - len(readable) == EXPECTED["unreadable"]
    assert {request["id"] for request in readable} == EXPECTED["results"].keys()
    assert len(readable) - len(EXPECTED["results"]) == EXPECTED["repeats"]


def test_a_repeat_has_the_same_body() -> None:
    bodies: dict[object, object] = {}
    assert all(bodies.setdefault(request["id"], request) == request for request in _readable())


def test_every_template_request_renders_unless_a_rejection_is_expected() -> None:
    refused = set()
    for request in _readable():
        if isinstance(wanted := request.get("template"), dict):
            try:
                LIBRARY.get(wanted["name"], wanted.get("version")).render(wanted["variables"])
            except InvalidRequest:
                refused.add(request["id"])
    assert refused == {"ticket-no-such-template"}
