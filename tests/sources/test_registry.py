"""Avro and Protobuf events with a schema registry."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest

from connectors.feeds import decoder
from connectors.registry import avro, protobuf
from connectors.registry.client import Schema, SchemaRegistry
from connectors.registry.decoder import RegistryDecoder
from domain.errors import InvalidSettings, Transient
from domain.sources.decoding import JsonDecoder
from domain.sources.mapping import Unmappable
from domain.sources.model import load
from tests import registry
from tests.registry import FakeRegistry, framed

BODY = {"type": "record", "name": "crm.Body", "fields": [{"name": "text", "type": "string"}]}
TICKET = {
    "type": "record",
    "name": "crm.Ticket",
    "fields": [
        {"name": "number", "type": "long"},
        {"name": "body", "type": "crm.Body"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "raw", "type": "bytes"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
    ],
}
EVENT = {
    "number": 4711, "body": {"text": "Grüße"}, "at": datetime(2026, 1, 1, tzinfo=UTC), "price": Decimal("9.50"),
    "raw": b"\xff", "note": None, "kind": "B",
}  # fmt: skip
PLAIN = {
    "number": 4711, "body": {"text": "Grüße"}, "at": "2026-01-01T00:00:00Z", "price": "9.50", "raw": "/w==",
    "note": None, "kind": "B",
}  # fmt: skip
COMMON = 'syntax = "proto3"; package crm.common; message Body { string text = 1; bytes raw = 2; }'
PROTO = """
syntax = "proto3";
package crm;
import "google/protobuf/timestamp.proto";
import "crm/common.proto";
message Other { string x = 1; }
message Ticket {
  message Line { int32 place = 1; }
  int64 ticket_number = 1;
  crm.common.Body body = 2;
  google.protobuf.Timestamp at = 3;
  repeated Line lines = 4;
}
"""
SENT = b"\x08\xe7\x24\x12\x09\x0a\x07Gr\xc3\xbc\xc3\x9fe\x1a\x06\x08\x80\xf2\xd6\xca\x06\x22\x02\x08\x03"
READ = {"ticket_number": "4711", "body": {"text": "Grüße"}, "at": "2026-01-01T00:00:00Z", "lines": [{"place": 3}]}


def written() -> bytes:
    names: dict[str, Any] = {}
    fastavro.parse_schema(BODY, named_schemas=names)
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(TICKET, named_schemas=names), EVENT)
    return stream.getvalue()


@pytest.fixture(params=["fake", "apicurio"])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    if request.param == "fake":
        async with registry.served(FakeRegistry()) as found:
            yield found
    elif not registry.JAR.exists():
        pytest.skip("Apicurio is not at hand: tests/registry.py says where it comes from")
    else:
        async with registry.apicurio() as found:
            yield found


async def register(url: str, subject: str, schema: str, kind: str, *references: tuple[str, str]) -> int:
    named = [{"name": name, "subject": of, "version": 1} for name, of in references]
    return await asyncio.to_thread(registry.register, url, subject, schema, kind, named)


async def test_events_are_read_with_the_schema_that_they_were_written_with(url: str) -> None:
    await register(url, "body", json.dumps(BODY), "AVRO")
    of_avro = await register(url, "ticket-value", json.dumps(TICKET), "AVRO", ("crm.Body", "body"))
    await register(url, "crm/common.proto", COMMON, "PROTOBUF")
    of_proto = await register(url, "proto-value", PROTO, "PROTOBUF", ("crm/common.proto", "crm/common.proto"))

    first = RegistryDecoder(SchemaRegistry(url), avro.compile)
    values = [framed(of_avro, written()), framed(of_avro, b"\x02"), framed(of_proto, SENT), framed(999_999, b""), b"{}"]
    await first.load(values)
    assert first.decode(values[0]) == PLAIN
    for value, reason in zip(
        values[1:], ["not what its schema says", "PROTOBUF, and not AVRO", "knows nothing", "zero byte"], strict=True
    ):
        with pytest.raises(Unmappable, match=reason):
            first.decode(value)
    await first.close()

    second = RegistryDecoder(SchemaRegistry(url), protobuf.compile)
    value = framed(of_proto, b"\x02\x02" + SENT)
    await second.load([value])
    assert second.decode(value) == READ
    await second.close()


@pytest.mark.parametrize(
    ("head", "path"), [(b"\x00", [0]), (b"\x02\x00", [0]), (b"\x02\x02", [1]), (b"\x04\x02\x00", [1, 0])]
)
def test_the_frame_says_which_message_of_the_schema_it_is(head: bytes, path: list[int]) -> None:
    assert protobuf.indexes(head + b"rest") == (path, len(head))


@pytest.mark.parametrize("head", [b"", b"\x01", b"\x02", b"\xff" * 9, b"\x02\x03", b"\x80"])
def test_a_frame_that_says_nothing_is_refused(head: bytes) -> None:
    with pytest.raises(Unmappable, match="which message"):
        protobuf.indexes(head)


def test_protobuf_reads_messages_by_their_place_and_refuses_the_rest() -> None:
    schema = Schema("PROTOBUF", PROTO, {"crm/common.proto": Schema("PROTOBUF", COMMON)})
    read = protobuf.compile(schema)
    assert read(b"\x00\x0a\x01y") == {"x": "y"}
    assert read(b"\x04\x02\x00\x08\x03") == {"place": 3}
    for wrong in (b"\x02\x08", b"\x02\x04\xff\xff", b"\x04\x02\x08\x00"):
        with pytest.raises(Unmappable):
            read(wrong + b"\x12\xff")


@pytest.mark.parametrize(
    "schema",
    [
        Schema("PROTOBUF", "message {"),
        Schema("PROTOBUF", 'syntax = "proto3"; import "missing.proto";'),
        Schema("PROTOBUF", PROTO, {"../../etc/x.proto": Schema("PROTOBUF", COMMON)}),
        Schema("PROTOBUF", PROTO, {"/tmp/x.proto": Schema("PROTOBUF", COMMON)}),
    ],
)
def test_a_schema_that_protoc_does_not_take_is_told(schema: Schema) -> None:
    with pytest.raises(Unmappable, match="its schema"):
        protobuf.compile(schema)


@pytest.mark.parametrize("text", ["{", '{"type": "record"}', '"unknown.Type"'])
def test_an_avro_schema_that_is_none_is_told(text: str) -> None:
    with pytest.raises(Unmappable, match="its schema cannot be read"):
        avro.compile(Schema("AVRO", text))


def test_more_bytes_than_the_schema_says_are_refused() -> None:
    read = avro.compile(Schema("AVRO", '"long"'))
    assert read(b"\x0e") == 7
    with pytest.raises(Unmappable, match="longer than its schema says"):
        read(b"\x0e\x00")


async def test_each_schema_is_asked_for_once_and_an_unknown_one_again() -> None:
    fake = FakeRegistry()
    async with registry.served(fake) as url:
        decoder = RegistryDecoder(SchemaRegistry(url), avro.compile)
        late = framed(1, b"\x0e")
        await decoder.load([late])
        with pytest.raises(Unmappable, match="knows nothing"):
            decoder.decode(late)
        await register(url, "n", '"long"', "AVRO")
        for _ in range(3):
            await decoder.load([late] * 100)
            assert decoder.decode(late) == 7
        assert fake.asked == ["/schemas/ids/1"] * 2
        await decoder.close()


async def test_a_registry_that_is_away_or_asks_for_a_password_is_waited_for() -> None:
    fake = FakeRegistry(auth="user:pass:word")
    async with registry.served(fake) as url:
        await asyncio.to_thread(registry.register, url, "n", '"long"', "AVRO", (), "user:pass:word")
        right, wrong = SchemaRegistry(url, "user:pass:word"), SchemaRegistry(url)
        assert (await right.schema(1)).text == '"long"'
        with pytest.raises(Transient, match="with 401"):
            await wrong.schema(1)
        fake.down = True
        with pytest.raises(Transient, match="with 503"):
            await right.schema(1)
        await right.close()
        await wrong.close()
    gone = SchemaRegistry(url)
    with pytest.raises(Transient, match="does not answer"):
        await gone.schema(1)
    await gone.close()


def test_json_may_have_a_frame_too() -> None:
    decoder = JsonDecoder()
    assert decoder.decode(b'{"a": 1}') == decoder.decode(framed(7, b'{"a": 1}')) == {"a": 1}
    with pytest.raises(Unmappable, match="not JSON"):
        decoder.decode(b"\x00\x00")


SOURCE = "sources: {{a: {{topic: t, format: {}, request: {{tenant: x}}, map: {{prompt: y}}{}}}}}"


@pytest.mark.parametrize(
    ("format", "more", "reason"),
    [
        ("avro", "", "says where the schemas of avro and protobuf are"),
        ("json", ", registry: {url: 'http://r'}", "json needs none"),
        ("avro", ", registry: {url: 'http://u:p@r'}", "registry.url: String should match"),
        ("avro", ", registry: {url: 'http://r', auth_env: AUTH}", "AUTH: is not user:password"),
        ("xml", "", "format: Input should be"),
    ],
)
def test_a_format_that_is_wrong_is_told(format: str, more: str, reason: str) -> None:
    with pytest.raises(InvalidSettings, match=reason):
        load(SOURCE.format(format, more), {})


@pytest.mark.parametrize(("format", "kind"), [("avro", avro.compile), ("protobuf", protobuf.compile)])
def test_a_source_names_its_registry(format: str, kind: Callable[..., Any]) -> None:
    more = ", registry: {url: 'http://r', auth_env: AUTH}"
    (source,) = load(SOURCE.format(format, more), {"AUTH": "user:secret"}).values()
    assert (source.format.name, source.format.registry, source.format.auth) == (format, "http://r", "user:secret")
    found = decoder(source)
    assert isinstance(found, RegistryDecoder)
    assert found._compile is kind
