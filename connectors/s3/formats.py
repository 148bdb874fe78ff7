"""Rows as the bytes of an object: Parquet, or JSON lines under gzip. The same rows give the same bytes."""

import gzip
import io
import os
from collections.abc import Callable
from typing import Any, Protocol

from connectors.alone import without
from domain.errors import MissingExtra
from domain.ports import Item
from domain.sinks.columns import COLUMNS, Column

AT_ONCE = 1_000
"""Rows that wait as Python has them, which takes ten times the room of a column's."""
AT_ONCE_BYTES = 256 * 1024
"""Of their values: of large rows fewer wait, or a batch would be there once more as text, and once more as columns."""

_STORES = ("pyarrow._s3fs", "pyarrow._gcsfs", "pyarrow._azurefs", "pyarrow._hdfs")
"""Arrow's own clients of buckets, which pyarrow.fs does without where they are not built in."""


class Rows(Protocol):
    """The rows of one object: `count` were added, with the item each came from; `finish` is called once."""

    count: int

    def add(self, item: Item, row: dict[str, Any]) -> None: ...

    def finish(self) -> bytes: ...


class Format(Protocol):
    """`ending` is that of an object's name."""

    ending: str

    def begin(self, topic: str) -> Rows: ...


class JsonLines:
    """The values as they came, one a line."""

    ending = "jsonl.gz"

    def begin(self, topic: str) -> Rows:  # noqa: ARG002 - they differ in nothing here
        return _Lines()


class _Lines:
    def __init__(self) -> None:
        self.count = 0
        self._lines: list[bytes] = []

    def add(self, item: Item, row: dict[str, Any]) -> None:  # noqa: ARG002
        self.count += 1
        # JSON allows line ends between its tokens only, where a blank means the same
        self._lines.append(item.value.replace(b"\n", b" ").replace(b"\r", b" "))

    def finish(self) -> bytes:
        return gzip.compress(b"\n".join(self._lines) + b"\n", compresslevel=5, mtime=0)


class Parquet:
    """One column a field (domain/sinks/columns.py): money as decimal(38, 18), times in UTC, JSON as text."""

    ending = "parquet"

    def __init__(self) -> None:
        """Raises MissingExtra."""
        self._pa = pyarrow = _pyarrow()
        fields = {topic: [self._field(one) for one in columns] for topic, columns in COLUMNS.items()}
        self._schemas = {topic: pyarrow.schema(of_topic) for topic, of_topic in fields.items()}

    def begin(self, topic: str) -> Rows:
        return _Columns(self._pa, self._schemas[topic])

    def _field(self, column: Column) -> Any:
        pa = self._pa
        kinds = {
            "text": pa.string(),
            "integer": pa.int64(),
            "money": pa.decimal128(38, 18),
            "time": pa.timestamp("ms", tz="UTC"),
            "flag": pa.bool_(),
            "json": pa.string(),
            "tags": pa.map_(pa.string(), pa.string()),
        }
        return pa.field(column.name, kinds[column.kind], nullable=not column.needed)


def _pyarrow() -> Any:
    """Without numpy, which brings pandas where that is installed too: 70 MB of which nothing here has a use."""
    # Arrow's own pool keeps 12 MB more of what it once had; it asks the environment when it is loaded
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        with without("numpy", *_STORES):
            import pyarrow
            import pyarrow.parquet
    except ImportError:
        raise MissingExtra("writing Parquet", "parquet") from None
    return pyarrow


class _Columns:
    def __init__(self, pyarrow: Any, schema: Any) -> None:
        self.count = 0
        self._pa = pyarrow
        self._schema = schema
        self._waiting: list[dict[str, Any]] = []
        self._size = 0
        self._batches: list[Any] = []

    def add(self, item: Item, row: dict[str, Any]) -> None:
        self.count += 1
        self._waiting.append(row)
        self._size += len(item.value)
        if len(self._waiting) >= AT_ONCE or self._size >= AT_ONCE_BYTES:
            self._pack()

    def finish(self) -> bytes:
        self._pack()
        buffer = io.BytesIO()
        # in pieces as they are: putting them together would be another copy of all
        table = self._pa.Table.from_batches(self._batches, self._schema)
        self._batches.clear()
        self._pa.parquet.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()

    def _pack(self) -> None:
        columns = [self._pa.array([row[field.name] for row in self._waiting], field.type) for field in self._schema]
        self._batches.append(self._pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._waiting.clear()
        self._size = 0


FORMATS: dict[str, Callable[[], Format]] = {"parquet": Parquet, "jsonl": JsonLines}
