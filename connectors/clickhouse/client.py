"""One HTTP session to a ClickHouse server (https://clickhouse.com/docs/interfaces/http)."""

import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import aiohttp
import orjson

from connectors.clickhouse.errors import translate
from domain.errors import InvalidSettings, Unavailable

# Answers only after the insert and its views are done, and reads our messages as they are.
INSERT_SETTINGS = {
    "wait_end_of_query": "1",
    "async_insert": "0",
    "input_format_skip_unknown_fields": "1",
    "input_format_null_as_default": "1",
    "input_format_json_ignore_unknown_keys_in_named_tuple": "1",
    "input_format_json_defaults_for_missing_elements_in_named_tuple": "1",
    "input_format_json_read_objects_as_strings": "1",
    "date_time_input_format": "best_effort",
    # a body is less than one of the pieces that would be parsed side by side: a thread more, and nothing to share
    "input_format_parallel_parsing": "0",
    # rows of one key that came together become one at a merge, and FINAL leaves one: no need to look for them now
    "optimize_on_insert": "0",
    # A batch that reaches far back in time is no error: partitions are days.
    "max_partitions_per_insert_block": "0",
}
QUERY_SETTINGS = {
    "wait_end_of_query": "1",
    "output_format_json_quote_decimals": "1",
    "output_format_json_quote_64bit_integers": "0",
}


NOT_OPEN = "the ClickHouse client is not open; call open() first"
STREAM = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=120)
BROKEN = b"DB::Exception: "
"""What a server writes into an answer that it had begun, where it cannot break the connection."""
TAIL = 16 * 1024
PIECE = 128 * 1024


class Rows:
    """JSONEachRow in which each value is one field: a value that is not exactly one JSON value breaks its row.

    Sent piece by piece, so that a batch is not in memory twice.
    """

    _BEFORE, _AFTER = b'{"value":', b"}\n"

    def __init__(self, values: Sequence[bytes]) -> None:
        self._values = values
        self.size = sum(map(len, values)) + len(values) * (len(self._BEFORE) + len(self._AFTER))

    async def pieces(self) -> AsyncIterator[bytes]:
        """Of about `PIECE` bytes where the values are of about one size; one row at least."""
        step = max(1, PIECE * len(self._values) // max(1, self.size))
        between = self._AFTER + self._BEFORE
        for at in range(0, len(self._values), step):
            yield self._BEFORE + between.join(self._values[at : at + step]) + self._AFTER


class ClickHouse:
    """A server and a database, from `http://user:password@host:port/database`."""

    def __init__(self, url: str, timeout_s: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidSettings("CLICKHOUSE_URL must look like http://user:password@host:port/structured_prompt")
        port = parts.port or (8443 if parts.scheme == "https" else 8123)
        self.place = f"{parts.hostname}:{port}"
        self.database = unquote(parts.path.strip("/")) or "structured_prompt"
        self._url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2].removesuffix(f':{port}')}:{port}/"
        self._headers = {
            "X-ClickHouse-User": unquote(parts.username or "default"),
            "X-ClickHouse-Key": unquote(parts.password or ""),
        }
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=5)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def insert(self, table: str, rows: bytes | Rows) -> None:
        """Insert JSONEachRow `rows`; returns when they are stored. Raises BadRows or Unavailable."""
        query = {"query": f"INSERT INTO {table} FORMAT JSONEachRow", "database": self.database, **INSERT_SETTINGS}
        await self._post(query, rows)

    async def select(self, sql: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Rows of a SELECT without FORMAT; decimals arrive as text. Raises Unavailable."""
        bound = {f"param_{name}": value for name, value in parameters.items()}
        query = {"database": self.database, "default_format": "JSONEachRow", **QUERY_SETTINGS, **bound}
        return [orjson.loads(line) for line in (await self._post(query, sql.encode())).splitlines()]

    async def stream(
        self, sql: str, parameters: Mapping[str, str], settings: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        """The answer to a SELECT as it comes, in the format of `settings`. Raises Unavailable, also in the middle."""
        if self._session is None:
            raise Unavailable(NOT_OPEN)
        bound = {f"param_{name}": value for name, value in parameters.items()}
        query = {"database": self.database, **settings, **bound}
        tail = b""
        try:
            async with self._session.post(self._url, params=query, data=sql.encode(), timeout=STREAM) as response:
                if response.status != 200:
                    raise translate(_code(response), (await response.read()).decode(errors="replace"))
                async for piece in response.content.iter_any():
                    tail = (tail + piece)[-TAIL:]
                    yield piece
        except (aiohttp.ClientError, TimeoutError, OSError, RuntimeError) as error:
            raise Unavailable(f"ClickHouse at {self.place} broke off: {type(error).__name__}") from error
        if BROKEN in tail:
            raise Unavailable(f"ClickHouse at {self.place} broke off with an exception; see the server's log")

    async def execute(self, sql: str, database: str | None = None) -> None:
        """A statement without an answer. Raises Unavailable."""
        await self._post({"database": database or self.database}, sql.encode())

    async def _post(self, query: Mapping[str, str], body: bytes | Rows) -> bytes:
        if self._session is None:
            raise Unavailable(NOT_OPEN)
        data, size = (io.BytesIO(body), len(body)) if isinstance(body, bytes) else (body.pieces(), body.size)
        head = {"Content-Length": str(size)}
        try:
            async with self._session.post(self._url, params=query, data=data, headers=head) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError, RuntimeError) as error:
            # RuntimeError is uvloop's word for a connection that was reset a moment ago
            raise Unavailable(f"ClickHouse at {self.place} does not answer: {type(error).__name__}") from error
        # With wait_end_of_query=0 an exception may follow a 200; the header says so even then.
        code = _code(response)
        if response.status != 200 or code:
            raise translate(code, answer.decode(errors="replace"), _seconds(response.headers.get("Retry-After")))
        return answer


def as_parameter(at: datetime) -> str:
    """A time as a parameter of type DateTime64(3, 'UTC')."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _code(response: aiohttp.ClientResponse) -> int:
    return int(response.headers.get("X-ClickHouse-Exception-Code", "0"))


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and retry_after.isdigit() else None
