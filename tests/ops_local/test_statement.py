"""ClickHouse's HTTP requests taken apart."""

import gzip

import lz4.frame
import pytest
import zstandard

from ops.local.clickhouse.statement import BadRequest, decompressed, parse


def test_a_query_in_the_parameter():
    statement = parse({"query": "SELECT 1 FORMAT JSON"}, b"")
    assert (statement.sql, statement.format, statement.data) == ("SELECT 1 ", "JSON", None)


def test_a_query_in_the_body_has_the_default_format():
    statement = parse({"default_format": "Native"}, b"SELECT 1")
    assert (statement.sql, statement.format) == ("SELECT 1", "Native")


def test_a_query_that_begins_in_the_parameter_ends_in_the_body():
    assert parse({"query": "SELECT"}, b"1").sql == "SELECT\n1"


def test_the_data_of_an_insert_is_the_body():
    statement = parse({"query": "INSERT INTO t (a) FORMAT JSONEachRow"}, b'{"a":1}')
    assert (statement.sql.strip(), statement.format, statement.data) == (
        "INSERT INTO t (a)",
        "JSONEachRow",
        b'{"a":1}',
    )


def test_exactly_one_newline_after_format_native_is_swallowed():
    assert parse({}, b"INSERT INTO t FORMAT Native\n\n\x01").data == b"\n\x01"


def test_data_that_is_not_text_follows_its_insert():
    assert parse({}, b"INSERT INTO t FORMAT RowBinary\n" + bytes(range(256))).data == bytes(range(256))


def test_an_insert_of_nothing_has_empty_data():
    assert parse({"query": "INSERT INTO t FORMAT JSONEachRow"}, b"").data == b""


@pytest.mark.parametrize(
    "sql", ["INSERT INTO t SELECT 1", "INSERT INTO t VALUES ('a FORMAT b')", "INSERT INTO t SELECT 1 FORMAT Native"]
)
def test_an_insert_without_a_body_is_a_statement(sql):
    assert parse({"query": sql}, b"").data is None


def test_settings_and_parameters_are_told_apart():
    statement = parse({"query": "SELECT 1", "max_threads": "1", "param_a": "x", "database": "d", "query_id": "q"}, b"")
    assert statement.settings == {"max_threads": "1"}
    assert statement.params == {"a": "x"}


@pytest.mark.parametrize(
    ("sql", "streams"),
    [
        ("SELECT 1 FORMAT Native", True),
        ("WITH 1 AS a SELECT a FORMAT CSV", True),
        ("SELECT 1 FORMAT JSON", False),
        ("SHOW TABLES FORMAT CSV", False),
        ("INSERT INTO t FORMAT CSV", False),
    ],
)
def test_only_reads_in_formats_without_head_and_foot_are_streamed(sql, streams):
    assert parse({"query": sql}, b"").streams is streams


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("", b"data"),
        ("gzip", gzip.compress(b"data")),
        ("gzip", b"data"),
        ("lz4", lz4.frame.compress(b"data")),
        ("zstd", zstandard.compress(b"data")),
        ("zstd", b"data"),
    ],
    ids=["plain", "gzip", "gzip already unpacked", "lz4", "zstd", "zstd already unpacked"],
)
def test_bodies_are_unpacked_once(encoding, packed):
    assert decompressed(packed, encoding) == b"data"


def test_an_unknown_encoding_is_refused():
    with pytest.raises(BadRequest, match="snappy"):
        decompressed(b"data", "snappy")
