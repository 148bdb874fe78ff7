"""Rows as the bytes of an object: Parquet, or JSON lines under gzip. The same rows give the same bytes."""

import gzip
import io
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from domain.errors import MissingExtra
from domain.ports import Item
from domain.sinks.columns import COLUMNS, Column


class Format(Protocol):
    """`ending` of an object's name, and its bytes from the items and their rows, which are as many."""

    ending: str

    def encode(self, topic: str, items: Sequence[Item], rows: Sequence[dict[str, Any]]) -> bytes: ...


class JsonLines:
    """The values as they came, one a line."""

    ending = "jsonl.gz"

    def encode(self, topic: str, items: Sequence[Item], rows: Sequence[dict[str, Any]]) -> bytes:  # noqa: ARG002
        # JSON allows line ends between its tokens only, where a blank means the same
        lines = [item.value.replace(b"\n", b" ").replace(b"\r", b" ") for item in items]
        return gzip.compress(b"\n".join(lines) + b"\n", compresslevel=5, mtime=0)


class Parquet:
    """One column a field (domain/sinks/columns.py): money as decimal(38, 18), times in UTC, JSON as text."""

    ending = "parquet"

    def __init__(self) -> None:
        """Raises MissingExtra."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise MissingExtra("writing Parquet", "parquet") from None
        self._pa = pyarrow
        self._parquet = pyarrow.parquet
        fields = {topic: [self._field(one) for one in columns] for topic, columns in COLUMNS.items()}
        self._schemas = {topic: pyarrow.schema(of_topic) for topic, of_topic in fields.items()}

    def encode(self, topic: str, items: Sequence[Item], rows: Sequence[dict[str, Any]]) -> bytes:  # noqa: ARG002
        schema = self._schemas[topic]
        columns = [self._pa.array([row[field.name] for row in rows], field.type) for field in schema]
        table = self._pa.Table.from_arrays(columns, schema=schema)
        buffer = io.BytesIO()
        self._parquet.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()

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


FORMATS: dict[str, Callable[[], Format]] = {"parquet": Parquet, "jsonl": JsonLines}
