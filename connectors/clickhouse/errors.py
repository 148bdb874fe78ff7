"""What ClickHouse's exceptions mean to us. The codes are those of src/Common/ErrorCodes.cpp.

    BadRows        the rows of an insert cannot be read or do not belong there: never
    ServerTrouble  the server answered with any other exception: later (an operator may have to act; nothing is lost).
                   So is a column that somebody gave another type: no row is to blame

A server that does not answer at all is `Unavailable`. A code that is not known to mean bad rows is never taken as
such: a wrong password must not turn a topic into dead letters.
"""

import re

from domain.errors import Permanent, Unavailable

BAD_ROWS = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        25,  # CANNOT_PARSE_ESCAPE_SEQUENCE
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        32,  # ATTEMPT_TO_READ_AFTER_EOF
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        130,  # CANNOT_READ_ARRAY_FROM_TEXT
        131,  # TOO_LARGE_STRING_SIZE
        153,  # ILLEGAL_DIVISION
        306,  # TOO_DEEP_RECURSION
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        376,  # CANNOT_PARSE_UUID
        395,  # FUNCTION_THROW_IF_VALUE_IS_NON_ZERO: our mapping views say what is missing
        407,  # DECIMAL_OVERFLOW
        467,  # CANNOT_PARSE_BOOL
        469,  # VIOLATED_CONSTRAINT
        675,  # CANNOT_PARSE_IPV4
        676,  # CANNOT_PARSE_IPV6
    }
)
REMEDIES = {
    60: "run `structured-prompt migrate`",  # UNKNOWN_TABLE
    81: "run `structured-prompt migrate`",  # UNKNOWN_DATABASE
    192: "check the user in CLICKHOUSE_URL",  # UNKNOWN_USER
    193: "check the password in CLICKHOUSE_URL",  # WRONG_PASSWORD
    194: "check the password in CLICKHOUSE_URL",  # REQUIRED_PASSWORD
    241: "give ClickHouse more memory, or write smaller batches",  # MEMORY_LIMIT_EXCEEDED
    243: "free disk space on the ClickHouse server",  # NOT_ENOUGH_SPACE
    252: "too many parts: merges are behind, write larger batches",  # TOO_MANY_PARTS
    497: "grant the user of CLICKHOUSE_URL what it needs",  # ACCESS_DENIED
    516: "check user and password in CLICKHOUSE_URL",  # AUTHENTICATION_FAILED
}
REASON_LENGTH = 400
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'?", re.DOTALL)
"""Parts of the row, which may hold somebody's answer: the dead letter has it, its reason is shown in lists."""
_DOUBLE_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_DRIFTED = re.compile(
    r"while converting source column \S+ to destination column `?(\w+)`?:.*while pushing to view (\S+)", re.DOTALL
)


class BadRows(Permanent):
    """At least one row of an insert can never be taken; which one is not known."""


class ServerTrouble(Unavailable):
    """The server answered, with an exception that says nothing about our rows."""


def translate(code: int, text: str, retry_after: float | None = None) -> BadRows | ServerTrouble:
    """The error for an answer that is not 200. `code` is X-ClickHouse-Exception-Code, 0 when a proxy answered."""
    if code in BAD_ROWS:
        said = _QUOTED.sub("'…'", text.strip())
        if drifted := _DRIFTED.search(_DOUBLE_QUOTED.sub('"…"', said)):
            return ServerTrouble(_drift(*drifted.groups()), retry_after)
        return BadRows(said[:REASON_LENGTH])
    remedy = REMEDIES.get(code, "see the server's log")
    # The text may quote rows, and this message is logged: the code says enough.
    return ServerTrouble(f"ClickHouse answered with exception {code}: {remedy}", retry_after)


def _drift(column: str, view: str) -> str:
    return (
        f"the column {column} of ClickHouse's table, which the view {view} fills, has another type than its schema "
        "says: give it that of connectors/clickhouse/schema (docs/sinks.md)"
    )
