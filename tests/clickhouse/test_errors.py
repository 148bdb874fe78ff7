"""Which of ClickHouse's answers condemn a row, and which only mean later."""

import pytest

from connectors.clickhouse.errors import BadRows, ServerTrouble, translate


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED"),
        (41, "CANNOT_PARSE_DATETIME"),
        (69, "ARGUMENT_OUT_OF_BOUND"),
        (72, "CANNOT_PARSE_NUMBER"),
        (117, "INCORRECT_DATA"),
        (306, "TOO_DEEP_RECURSION"),
        (395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        (469, "VIOLATED_CONSTRAINT"),
    ],
)
def test_codes_about_rows_condemn_them(code: int, name: str) -> None:
    error = translate(code, f"Code: {code}. DB::Exception: something ({name})")
    assert isinstance(error, BadRows)
    assert name in str(error)


@pytest.mark.parametrize(
    "said",
    [
        r"Constraint `c` is violated at row 1. Column values: output = 'it\'s private'. (VIOLATED_CONSTRAINT)",
        """Cannot parse input: expected '"' before: 'private"}': (at row 1) (CANNOT_PARSE_TEXT)""",
        "Cannot parse string 'private, and longer than what is kept",
    ],
)
def test_the_reason_of_a_refused_row_quotes_nothing_of_it(said: str) -> None:
    error = translate(469, said)
    assert isinstance(error, BadRows)
    assert "private" not in str(error)
    assert str(error).startswith(said.partition("'")[0])


@pytest.mark.parametrize(
    "code", [0, 60, 81, 159, 164, 202, 209, 210, 241, 242, 243, 252, 319, 497, 516, 999, 1001, 1002]
)
def test_any_other_code_means_later(code: int) -> None:
    assert isinstance(translate(code, "anything"), ServerTrouble)


def test_the_message_of_a_trouble_names_the_remedy_and_quotes_no_row() -> None:
    error = translate(516, "Code: 516. wrong password for {secret row}")
    assert str(error) == "ClickHouse answered with exception 516: check user and password in CLICKHOUSE_URL"


def test_retry_after_of_a_proxy_is_kept() -> None:
    error = translate(0, "overloaded", retry_after=7.0)
    assert isinstance(error, ServerTrouble)
    assert error.retry_after == 7.0


PUSHED = (
    "Code: 6. DB::Exception: Cannot parse string 'private' as UInt32: while converting source column {0}model{0} to "
    "destination column {0}model{0}: while executing 'f': while pushing to view a.results_mapping (246a2b25). (X)"
)


@pytest.mark.parametrize("quote", ["", "`"])
def test_a_column_of_another_type_condemns_no_row_and_is_named(quote: str) -> None:
    error = translate(6, PUSHED.format(quote))
    assert isinstance(error, ServerTrouble)
    assert "the column model of ClickHouse's table, which the view a.results_mapping fills" in str(error)
    assert "private" not in str(error)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_row_that_holds_these_words_is_condemned_all_the_same(quote: str) -> None:
    words = PUSHED.format("").replace("'private'", "x").replace("'f'", "f")
    assert isinstance(translate(6, f"Cannot parse input: {quote}{words}{quote} (at row 1)"), BadRows)
