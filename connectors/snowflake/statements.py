"""What the Snowflake sink says, made of the columns of each topic. Pure.

Rows come out of a file in a stage into a table of the session, one a line, and from there into the real tables.
"""

from collections.abc import Iterable

from domain.sinks.columns import COLUMNS, TABLES, Column
from topics.table import EVENTS, RESULTS, USAGE

TYPES = {
    "text": "VARCHAR", "integer": "NUMBER(38,0)", "money": "NUMBER(38,18)", "time": "TIMESTAMP_NTZ", "flag": "BOOLEAN",
    "json": "VARIANT", "tags": "VARIANT",
}  # fmt: skip
FAMILIES = {
    "text": {"TEXT", "VARCHAR", "STRING"}, "integer": {"NUMBER"}, "money": {"NUMBER"}, "flag": {"BOOLEAN"},
    "time": {"TIMESTAMP_NTZ"}, "json": {"VARIANT"}, "tags": {"VARIANT"},
}  # fmt: skip
"""As INFORMATION_SCHEMA names them."""
KEYS = {RESULTS: ("tenant", "id"), USAGE: ("tenant", "id", "run", "attempt"), EVENTS: ("tenant", "event_id")}
BEST = {
    RESULTS: '"RUN" DESC, "COMPLETED_AT" DESC',
    USAGE: """IFF("OUTCOME" = 'unknown', 1, 0)""",
    EVENTS: '"AT"',
}
"""Which of several rows with one key stays, in the order of this."""
NEWER = {
    RESULTS: 't."RUN" < s."RUN" OR (t."RUN" = s."RUN" AND t."COMPLETED_AT" < s."COMPLETED_AT")',
    USAGE: """t."OUTCOME" = 'unknown' AND s."OUTCOME" <> 'unknown'""",
    EVENTS: "FALSE",
}
STAGE = "structured_prompt_landing"
COLUMNS_OF = (
    "SELECT column_name, data_type, is_nullable, character_maximum_length, numeric_precision, numeric_scale "
    "FROM information_schema.columns WHERE table_schema = CURRENT_SCHEMA() AND table_name = %s"
)
_TEXT = 255
"""Characters of the longest text of ours that is not JSON."""
_DIGITS = {"integer": (19, 0), "money": (20, 18)}
"""Before the point and behind it."""
STAGE_MADE = f"CREATE STAGE IF NOT EXISTS {STAGE}"


def landing(topic: str) -> str:
    """The session's own table."""
    return f"landing_{TABLES[topic]}"


def create(topic: str) -> str:
    columns = ", ".join(_declared(column, column.needed) for column in COLUMNS[topic])
    return f"CREATE TABLE IF NOT EXISTS {TABLES[topic]} ({columns})"


def create_landing(topic: str) -> str:
    return f"CREATE OR REPLACE TEMPORARY TABLE {landing(topic)} (row_ VARIANT)"


def lacking(topic: str, have: Iterable[str]) -> list[str]:
    """Statements that add the columns which a table does not have."""
    known = {name.lower() for name in have}
    return [
        f"ALTER TABLE {TABLES[topic]} ADD COLUMN IF NOT EXISTS {_declared(column, False)}"
        for column in COLUMNS[topic]
        if column.name not in known
    ]


def drifted(topic: str, have: Iterable[tuple[str, str, bool]]) -> list[str]:
    """Why no row would fit: (name, type, nullable) of each column there is."""
    wanted = {column.name: column for column in COLUMNS[topic]}
    wrong = []
    for name, kind, nullable in have:
        column = wanted.get(name.lower())
        if column is None and not nullable:
            wrong.append(f"{name} must not be null, and no record has it")
        if column is not None and kind.upper() not in FAMILIES[column.kind]:
            wrong.append(f"{name} is {kind}, not {TYPES[column.kind]}")
    return wrong


def too_strict(topic: str, have: Iterable[tuple[str, bool]]) -> list[str]:
    """Why some rows would not fit: (name, nullable) of each column there is."""
    optional = {column.name for column in COLUMNS[topic] if not column.needed}
    return [
        f"{name} must not be null, and not every record has it"
        for name, nullable in have
        if name.lower() in optional and not nullable
    ]


def narrower(topic: str, have: Iterable[tuple[str, str, int | None, int | None, int | None]]) -> list[str]:
    """Which columns refuse values, or round them without a word: (name, type, length, precision, scale) of each."""
    kinds = {column.name: column.kind for column in COLUMNS[topic]}
    wrong = []
    for name, kind, length, precision, scale in have:
        wanted = kinds.get(name.lower())
        if wanted == "text" and length is not None and length < _TEXT:
            wrong.append(f"{name} is {kind}({length}), not {TYPES[wanted]}")
        if wanted in _DIGITS and precision is not None and scale is not None:
            before, behind = _DIGITS[wanted]
            if precision - scale < before or scale < behind:
                wrong.append(f"{name} is {kind}({precision},{scale}), not {TYPES[wanted]}")
    return wrong


def empty(topic: str) -> str:
    return f"TRUNCATE TABLE {landing(topic)}"


def put(path: str, name: str) -> str:
    return f"PUT 'file://{path}' @{STAGE}/{name} AUTO_COMPRESS = FALSE SOURCE_COMPRESSION = GZIP OVERWRITE = TRUE"


def copy(topic: str, name: str) -> str:
    return f"COPY INTO {landing(topic)} FROM @{STAGE}/{name} FILE_FORMAT = (TYPE = JSON) PURGE = TRUE"


def merge(topic: str) -> str:
    """One row a key, the best of those that are given and the one that is there."""
    names = [_quoted(column.name) for column in COLUMNS[topic]]
    keys = [_quoted(name) for name in KEYS[topic]]
    read = ", ".join(f"{_read(column)} AS {_quoted(column.name)}" for column in COLUMNS[topic])
    on = " AND ".join(f"t.{name} = s.{name}" for name in keys)
    best = f"QUALIFY ROW_NUMBER() OVER (PARTITION BY {', '.join(keys)} ORDER BY {BEST[topic]}) = 1"
    changed = ", ".join(f"{name} = s.{name}" for name in names if name not in keys)
    values = ", ".join(f"s.{name}" for name in names)
    given = f"SELECT * FROM (SELECT {read} FROM {landing(topic)}) {best}"  # noqa: S608 - all of it is ours
    return (  # the names are ours, and no value is in it
        f"MERGE INTO {TABLES[topic]} AS t USING ({given}) AS s ON {on} "  # noqa: S608
        f"WHEN MATCHED AND ({NEWER[topic]}) THEN UPDATE SET {changed} "
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({values})"
    )


def _declared(column: Column, needed: bool) -> str:
    return f"{_quoted(column.name)} {TYPES[column.kind]}{' NOT NULL' if needed else ''}"


def _quoted(name: str) -> str:
    """The name that it has without quotes too; some of ours are words of SQL."""
    return f'"{name.upper()}"'


def _read(column: Column) -> str:
    if column.kind in ("json", "tags"):
        return f"row_:{column.name}"
    if column.kind in ("money", "time"):
        return f"row_:{column.name}::VARCHAR::{TYPES[column.kind]}"
    return f"row_:{column.name}::{TYPES[column.kind]}"
