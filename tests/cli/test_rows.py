"""Files become requests, or say which line does not."""

import io
import json

import pytest

from cli._rows import Broken, Defaults, Refusal, Row, request, rows

DEMO = Defaults(tenant="demo")


def read(text: str | bytes, name: str = "-", defaults: Defaults = DEMO) -> list:
    raw = text.encode() if isinstance(text, str) else text
    ready = [request(row, defaults) for row in rows(io.BufferedReader(io.BytesIO(raw)), name)]
    return [one if isinstance(one, Refusal) else one[0].request for one in ready]


def test_jsonl_skips_empty_lines_and_names_the_line_that_is_none():
    first, second, third = read('{"id":"a","prompt":"x"}\n\nnonsense\n{"id":"b","prompt":"y","tenant":"acme"}')
    assert (first.id, first.tenant, first.prompt) == ("a", "demo", "x")
    assert second == Refusal(3, second.reason)
    assert "not JSON" in second.reason
    assert third.tenant == "acme"


def test_a_json_array_is_recognised_by_its_bracket():
    first, second = read('\n [{"prompt":"x"}, 7]')
    assert len(first.id) == 36
    assert second == Refusal(2, "not a JSON object")


@pytest.mark.parametrize(
    ("text", "name", "line", "reason"),
    [
        ("[1,\n2,", "-", 2, "not JSON"),
        ('{\n  "prompt": "x"\n}', "-", 1, "spread over lines"),
        ('id,prompt\na,x\nb,"y\nc,z\n', "rows.csv", 3, "a quote is opened and never closed"),
        ("text,id,text\n", "rows.csv", 1, "two columns have the name text"),
        ("id,prompt\na,x\n".encode("utf-16"), "rows.csv", 1, "it is UTF-16; save it as UTF-8"),
        ("id,größe\n".encode("latin-1"), "rows.csv", 1, "header is not UTF-8; save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_on_says_from_which_line_and_why(text, name, line, reason):
    with pytest.raises(Broken, match=reason) as raised:
        read(text, name)
    assert raised.value.line == line


def test_what_has_the_name_of_json_is_not_taken_for_csv():
    [one] = read("hello world\n", "rows.jsonl")
    assert "not JSON" in one.reason


def test_semicolons_tabs_and_spaces_around_names_are_what_spreadsheets_write():
    defaults = Defaults("demo", template="sentiment")
    for text in ("id;text\na;x, y\n", "id\ttext\na\tx, y\n", ' id , text \na,"x, y"\n'):
        [one] = read(text, "rows.csv", defaults)
        assert (one.id, one.template.variables) == ("a", {"text": "x, y"})


@pytest.mark.parametrize(
    ("text", "name"), [("", "rows.csv"), ("id,text\n", "rows.csv"), ("\n", "rows.jsonl"), ("", "-")]
)
def test_an_empty_file_has_no_rows(text, name):
    assert read(text, name) == []


def test_a_cell_may_be_as_long_as_a_request():
    [one] = read("id,prompt\na," + "x" * 500_000 + "\n", "rows.csv")
    assert len(one.prompt) == 500_000


def test_csv_columns_are_fields_tags_and_metadata():
    [one] = read("\ufeffid,prompt,tags.team,metadata.row,lane,subject\na,Hello,support,1,bulk,\n", name="rows.csv")
    assert (one.id, one.prompt, one.lane, one.subject) == ("a", "Hello", "bulk", None)
    assert (one.tags, one.metadata) == ({"team": "support"}, {"row": "1"})


def test_csv_columns_become_variables_of_the_template():
    [one] = read('text,id\n"two\nlines",a\n', defaults=Defaults("demo", template="sentiment"))
    assert one.template.name == "sentiment"
    assert one.template.variables == {"text": "two\nlines"}


def test_json_fields_become_variables_of_the_template_unless_there_is_a_prompt():
    defaults = Defaults("demo", template="sentiment", model="smart", lane="bulk")
    lines = ['{"text":"x","tags":{"a":"b"}}', '{"prompt":"own","model":"fast"}', '{"variables":{"text":"y"}}']
    first, second, third = read("\n".join(lines), defaults=defaults)
    assert (first.template.variables, first.tags, first.model, first.lane) == (
        {"text": "x"},
        {"a": "b"},
        "smart",
        "bulk",
    )
    assert (second.template, second.prompt, second.model) == (None, "own", "fast")
    assert third.template.variables == {"text": "y"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,prompt,modle\na,x,fast\n", "/modle: unknown field"),
        ("id,prompt\na\n", "has 1 cells, the header has 2"),
        ("id,prompt\na,b,c\n", "has 3 cells, the header has 2"),
        ("id,tenant\na,b\n", "neither a prompt nor a variable"),
        ("id,text\na,b\n", "has no prompt: name the template of text with --template"),
    ],
)
def test_a_csv_row_that_is_no_request_says_why(text, reason):
    [one] = read(text, name="rows.csv")
    assert isinstance(one, Refusal)
    assert reason in one.reason


@pytest.mark.parametrize(
    ("text", "name"),
    [("id,prompt\na,schön\nb,y\n", "rows.csv"), ('{"prompt":"schön"}\n{"prompt":"y"}\n', "rows.jsonl")],
)
def test_a_row_that_is_not_utf_8_is_refused_and_its_neighbours_are_not(text, name):
    first, second = read(text.encode("latin-1"), name)
    assert "not UTF-8; save it as UTF-8" in first.reason
    assert second.prompt == "y"


def test_a_row_that_is_too_large_is_refused():
    ready = request(Row(1, {"prompt": "x" * 2_000_000}), DEMO)
    assert isinstance(ready, Refusal)
    assert "1048576" in ready.reason


def test_what_was_written_is_what_is_sent():
    fields = {"id": "a", "tenant": "demo", "prompt": "x", "metadata": {"n": 1.5, "deep": [1, None, {"ü": "ß"}]}}
    ready = request(Row(1, fields), Defaults())
    assert not isinstance(ready, Refusal)
    assert json.loads(ready[1]) == fields
