"""What the end of a streamed answer adds to what was said of it."""

import pytest

from api.openai.said import Said
from domain.routing.model import ToolPiece


def call(id: str, arguments: str) -> dict[str, object]:
    return {"id": id, "type": "function", "function": {"name": "track", "arguments": arguments}}


def said(*pieces: ToolPiece) -> Said:
    found = Said({"track"})
    for piece in pieces:
        found.add(piece)
    return found


BEGUN = ToolPiece(0, "", "c1", "track")


def test_nothing_is_added_to_what_was_said_with_other_blanks() -> None:
    assert said(BEGUN, ToolPiece(0, '{ "n": 7 }')).left_of([call("c1", '{"n":7}')]) == []


def test_a_call_without_arguments_gets_those_that_it_is_kept_with() -> None:
    assert said(BEGUN).left_of([call("c1", "{}")]) == [{"index": 0, "function": {"arguments": "{}"}}]


def test_other_calls_than_those_that_were_said_are_no_end_of_them() -> None:
    assert said(BEGUN).left_of([]) is None
    assert said(BEGUN).left_of([call("c2", "{}")]) is None
    assert said(BEGUN, ToolPiece(0, '{"a":')).left_of([call("c1", '{"n":7}')]) is None


WRITTEN = ('{"n":7}', "{}", '{"text":"Grüße"}')
PIECES = [
    piece
    for number, arguments in enumerate(WRITTEN)
    for piece in (ToolPiece(number, "", f"c{number}", "track"), *(ToolPiece(number, one) for one in arguments))
]


@pytest.mark.parametrize("heard", range(len(PIECES) + 1))
def test_what_was_said_and_what_is_added_are_the_calls(heard: int) -> None:
    calls = [call(f"c{number}", arguments) for number, arguments in enumerate(WRITTEN)]
    found = Said({"track"})
    deltas = [found.add(piece)["tool_calls"][0] for piece in PIECES[:heard]]
    deltas += found.left_of(calls) or []
    assert [delta["id"] for delta in deltas if "id" in delta] == ["c0", "c1", "c2"]
    for number, arguments in enumerate(WRITTEN):
        assert "".join(one["function"]["arguments"] for one in deltas if one["index"] == number) == arguments
