"""Which types of the PostgreSQL sink's columns take less than the declared ones."""

import pytest

from connectors.postgres.sink_columns import Found, drifted, narrower


@pytest.mark.parametrize(
    ("declared", "type", "less"),
    [
        ("text", "text", False),
        ("text", "character varying", False),
        ("text", "character varying(255)", False),
        ("text", "character varying(254)", True),
        ("text", "character(255)", True),
        ("text", "name", True),
        ("integer", "bigint", False),
        ("integer", "smallint", True),
        ("integer", "double precision", False),
        ("integer", "real", True),
        ("integer", "numeric(10,0)", False),
        ("integer", "numeric(9,0)", True),
        ("bigint", "integer", True),
        ("bigint", "double precision", True),
        ("bigint", "numeric(38,18)", False),
        ("numeric", "numeric", False),
        ("numeric", "numeric(38,18)", False),
        ("numeric", "numeric(38,17)", True),
        ("numeric", "numeric(37,18)", True),
        ("numeric", "double precision", True),
        ("numeric", "money", True),
        ("boolean", "boolean", False),
        ("json", "jsonb", False),
        ("json", "character varying(10)", True),
        ("timestamptz", "timestamp with time zone", False),
        ("timestamptz", "timestamp(3) with time zone", False),
        ("timestamptz", "timestamp(2) with time zone", True),
        ("timestamptz", "timestamp without time zone", False),
        ("timestamptz", "date", True),
        ("timestamptz", "time without time zone", True),
        ("text", "text[]", True),
        ("text", 'ours."Status"', True),
    ],
)
def test_what_takes_less(declared: str, type: str, less: bool) -> None:
    assert narrower(declared, type) is less


def test_columns_of_others_are_their_own_matter_unless_they_must_be_filled() -> None:
    assert drifted([Found("results", "region", "character(2)", False)]) is None
    reason = drifted([Found("results", "region", "text", True), Found("calls", "id", "text", True)])
    assert reason is not None
    assert reason.startswith("has columns that must not be null and no record has: results.region; ")
