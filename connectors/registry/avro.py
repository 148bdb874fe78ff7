"""Avro events (https://avro.apache.org/docs/), read with the schema they were written with, as JSON would have them."""

import io
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from connectors.registry.client import Schema
from domain.errors import MissingExtra
from domain.sources.mapping import Unmappable


def needed() -> Any:
    """fastavro. Raises MissingExtra."""
    try:
        import fastavro
    except ImportError as error:
        raise MissingExtra("reading Avro", "avro") from error
    return fastavro


def compile(schema: Schema) -> Callable[[bytes], Any]:
    """Raises Unmappable for what is no Avro schema."""
    fastavro = needed()
    if schema.kind != "AVRO":
        raise Unmappable(f"the record's schema is {schema.kind[:20]}, and not AVRO")
    try:
        parsed = _parsed(fastavro, schema, {})
    except Exception as error:  # noqa: BLE001 - fastavro raises whatever a wrong schema leads to
        raise Unmappable(f"its schema cannot be read ({type(error).__name__})") from None

    def read(value: bytes) -> Any:
        stream = io.BytesIO(value)
        try:
            event = fastavro.schemaless_reader(stream, parsed)
        except Exception as error:  # noqa: BLE001 - and whatever wrong bytes lead to
            raise Unmappable(f"the record is not what its schema says ({type(error).__name__})") from None
        if stream.read(1):
            raise Unmappable("the record is longer than its schema says")
        return plain(event)

    return read


def _parsed(fastavro: Any, schema: Schema, names: dict[str, Any]) -> Any:
    """`names` gathers the types of what is imported."""
    for reference in schema.references.values():
        _parsed(fastavro, reference, names)
    return fastavro.parse_schema(orjson.loads(schema.text), named_schemas=names)


def plain(value: Any) -> Any:
    """As JSON has it: times are RFC 3339, decimals and UUIDs text, bytes base64, durations seconds."""
    if isinstance(value, dict):
        return {str(name): plain(below) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [plain(below) for below in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Decimal | UUID) else value
