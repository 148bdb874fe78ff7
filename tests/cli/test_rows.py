"""Files become requests, or say which line does not."""

import io
import json

import pytest

from cli._rows import Defaults, Refusal, Row, request, rows

DEMO = Defaults(tenant="demo")


def read(text: str | bytes, is_csv: bool = False, defaults: Defaults = DEMO) -> list:
    raw = text.encode() if isinstance(text, str) else text
    ready = [request(row, defaults) for row in rows(io.BufferedReader(io.BytesIO(raw)), is_csv)]
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


def test_a_file_that_is_no_json_array_after_all_is_an_error():
    with pytest.raises(ValueError, match="line 1"):
        read("[1,")


def test_csv_columns_are_fields_tags_and_metadata():
    [one] = read("\ufeffid,prompt,tags.team,metadata.row,lane,subject\na,Hello,support,1,bulk,\n", is_csv=True)
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
        ("id,prompt\na\n", "another number of cells"),
        ("id,prompt\na,b,c\n", "another number of cells"),
        ("id,tenant\na,b\n", "neither a column prompt"),
        ("id,text\na,b\n", "/variables: unknown field"),
    ],
)
def test_a_csv_row_that_is_no_request_says_why(text, reason):
    [one] = read(text, is_csv=True)
    assert isinstance(one, Refusal)
    assert reason in one.reason


def test_csv_that_is_not_text_is_an_error():
    with pytest.raises(ValueError, match="utf-8"):
        read(b"id,prompt\n\xff\xfe,x\n", is_csv=True)


def test_a_row_that_is_too_large_is_refused():
    ready = request(Row(1, {"prompt": "x" * 2_000_000}), DEMO)
    assert isinstance(ready, Refusal)
    assert "1048576" in ready.reason


def test_what_was_written_is_what_is_sent():
    fields = {"id": "a", "tenant": "demo", "prompt": "x", "metadata": {"n": 1.5, "deep": [1, None, {"ü": "ß"}]}}
    ready = request(Row(1, fields), Defaults())
    assert not isinstance(ready, Refusal)
    assert json.loads(ready[1]) == fields
