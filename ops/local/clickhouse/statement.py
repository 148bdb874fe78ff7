"""An HTTP request of ClickHouse's protocol taken apart: which statement, which data, which settings.

https://clickhouse.com/docs/interfaces/http: the statement is the `query` parameter followed by the body; data of an
INSERT follows its FORMAT clause; other parameters are settings, `param_NAME` are query parameters.
"""

import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

TRANSPORT = frozenset(
    (
        "database",
        "buffer_size",
        "session_id",
        "session_timeout",
        "session_check",
        "query_id",
        "quota_key",
        "compress",
        "decompress",
        "wait_end_of_query",
        "client_protocol_version",
        "role",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "enable_http_compression",
        "query",
        "default_format",
        "user",
        "password",
        "readonly",
    )
)
# INSERT … FORMAT name, but not INSERT … SELECT … FORMAT name, and not INSERT … VALUES ('… FORMAT name').
TAKES_DATA = re.compile(r"\s*INSERT\s+INTO\b(?:(?!\b(?:SELECT|VALUES)\b).)*?\bFORMAT\s+\w+", re.I | re.S)
HAS_DATA_FORMAT = re.compile(r"\bFORMAT\s+(\w+)[ \t]*(?:;|\r?\n)?", re.I)
OUTPUT_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.I)
READS = re.compile(r"\s*(?:SELECT|WITH)\b", re.I)
# Formats whose pieces can be sent one after the other: nothing stands before the first row or after the last.
STREAMABLE = frozenset(
    {"native", "jsoneachrow", "jsoncompacteachrow", "jsonlines", "ndjson", "tabseparated", "tsv", "csv", "rowbinary"}
)


class BadRequest(Exception):
    """The request cannot be understood; `code` is ClickHouse's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message}")


@dataclass(frozen=True, slots=True)
class Statement:
    """`data` is None unless it is an INSERT with data, then `format` is the input's, else the output's."""

    sql: str
    format: str
    data: bytes | None
    settings: Mapping[str, str]
    params: Mapping[str, str]

    @property
    def streams(self) -> bool:
        return self.data is None and self.format.lower() in STREAMABLE and READS.match(self.sql) is not None


def parse(query: Mapping[str, str], body: bytes) -> Statement:
    """Take a request apart; `body` is not compressed. Raises BadRequest."""
    sql, data = _split(query.get("query", ""), body)
    found = HAS_DATA_FORMAT.search(sql) if data is not None else OUTPUT_FORMAT.search(sql)
    return Statement(
        sql=sql[: found.start()] if found else sql,
        format=found.group(1) if found else query.get("default_format", "TabSeparated"),
        data=data,
        settings={key: value for key, value in query.items() if key not in TRANSPORT and not key.startswith("param_")},
        params={key[6:]: value for key, value in query.items() if key.startswith("param_")},
    )


def _split(sql: str, body: bytes) -> tuple[str, bytes | None]:
    """The statement and the data of an INSERT. The statement is in `sql`, in the body, or begins in one of them."""
    if sql:
        if TAKES_DATA.match(sql):
            return sql, body
        return (f"{sql}\n{body.decode()}" if body else sql), None
    head = body[:65_536].decode(errors="replace")
    if not TAKES_DATA.match(head):
        return body.decode(), None
    found = HAS_DATA_FORMAT.search(head)
    if found is None:
        raise BadRequest(62, "an INSERT without its FORMAT (SYNTAX_ERROR)")
    # The data begins exactly one newline after FORMAT: of Native a second one is already the data.
    end = len(head[: found.end()].encode())
    return head[: found.end()], body[end:]


def decompressed(body: bytes, encoding: str) -> bytes:
    """The body as it was before Content-Encoding; one that the server already unpacked stays. Raises BadRequest."""
    if encoding in ("", "identity") or not body:
        return body
    if encoding == "gzip":
        return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
    if encoding == "zstd":
        return _unzstd(body) if body.startswith(b"\x28\xb5\x2f\xfd") else body
    if encoding == "lz4":
        import lz4.frame

        return bytes(lz4.frame.decompress(body))
    if encoding == "deflate":
        return zlib.decompress(body) if body[:1] == b"\x78" else body
    raise BadRequest(48, f"Content-Encoding {encoding} is not supported (NOT_IMPLEMENTED)")


def _unzstd(body: bytes) -> bytes:
    import zstandard

    with zstandard.ZstdDecompressor().stream_reader(body) as reader:
        return reader.read()
