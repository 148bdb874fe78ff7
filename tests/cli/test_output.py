"""What people and scripts read."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from cli._output import print_error, print_json, print_table, print_text

AT = datetime(2026, 1, 1, 2, 0, 0, 123456, timezone(timedelta(hours=2)))


def test_times_are_rfc_3339_in_utc_with_milliseconds(capsys):
    print_json({"at": AT, "cost_usd": Decimal("0.000012")})
    assert json.loads(capsys.readouterr().out) == {"at": "2026-01-01T00:00:00.123Z", "cost_usd": "0.000012"}


def test_a_table_shows_the_same_times_and_a_dash_for_nothing(capsys):
    print_table(("at", "revoked_at"), [(AT.astimezone(UTC), None)])
    assert capsys.readouterr().out.splitlines()[1].split() == ["2026-01-01T00:00:00.123Z", "–"]


def test_what_names_a_row_is_in_one_piece_however_much_stands_beside_it(capsys):
    id = f"wh_{'7' * 32}"
    print_table(("id", "url", "last_error"), [(id, "https://hooks.example/" + "in/" * 30, "it answered 404: " * 30)])
    assert id in capsys.readouterr().out


def test_brackets_of_a_cell_are_no_markup(capsys):
    print_table(("id", "what to do"), [("[/a]", "install the extra `structured-prompt[local]`, or [red]not[/red]")])
    assert capsys.readouterr().out.splitlines()[1].split(None, 1) == [
        "[/a]",
        "install the extra `structured-prompt[local]`, or [red]not[/red]",
    ]


def test_what_somebody_sent_does_not_steer_the_terminal(capsys):
    print_table(("id", "detail"), [("\x1b]0;owned\x07", "a\nb\x9b2J\u202e\r")])
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(out)
    assert all(spelt in out for spelt in ("\\x1b]0;owned\\x07", "\\x9b2J\\u202e\\r"))


def test_an_answer_goes_to_a_pipe_as_it_is_and_steers_no_terminal(capsys, monkeypatch):
    answer = "one\ttwo\n\x1b[2Jthree"
    print_text(answer)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    print_text(answer)
    print_error(answer)
    captured = capsys.readouterr()
    assert captured.out == f"{answer}\none\ttwo\n\\x1b[2Jthree\n"
    assert captured.err == "error: one\ttwo\n\\x1b[2Jthree\n"
