"""Rows as the Storage Write API takes them: protocol buffers of a message that mirrors the table.

Types: https://cloud.google.com/bigquery/docs/supported-data-types (TIMESTAMP is microseconds, BIGNUMERIC and JSON are
text).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from domain.sinks.columns import COLUMNS, TABLES, row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {"integer": _FIELD.TYPE_INT64, "time": _FIELD.TYPE_INT64, "flag": _FIELD.TYPE_BOOL}


def _micros(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def _money(amount: Decimal) -> str:
    return f"{amount:f}"


def _tags(pairs: list[tuple[str, str]]) -> str:
    return orjson.dumps(dict(pairs)).decode()


_WRITE: dict[str, Callable[[Any], Any]] = {"time": _micros, "money": _money, "tags": _tags}


class Encoder:
    """Of one topic. `descriptor` goes to BigQuery with the first rows."""

    def __init__(self, topic: str) -> None:
        columns = COLUMNS[topic]
        self._topic = topic
        self._changed = [(column.name, _WRITE[column.kind]) for column in columns if column.kind in _WRITE]
        self.descriptor = descriptor_pb2.DescriptorProto(name=TABLES[topic])
        for number, column in enumerate(columns, 1):
            kind = _TYPES.get(column.kind, _FIELD.TYPE_STRING)
            self.descriptor.field.add(name=column.name, number=number, type=kind, label=_FIELD.LABEL_OPTIONAL)
        file = descriptor_pb2.FileDescriptorProto(name=f"{TABLES[topic]}.proto", package="sp", syntax="proto2")
        file.message_type.add().CopyFrom(self.descriptor)
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        self._message = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"sp.{TABLES[topic]}"))

    def encode(self, value: bytes) -> bytes:
        """Raises NoRow."""
        found = {name: one for name, one in row(self._topic, value).items() if one is not None}
        for name, change in self._changed:
            if name in found:
                found[name] = change(found[name])
        encoded: bytes = self._message(**found).SerializeToString()
        return encoded
