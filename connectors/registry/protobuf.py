"""Protobuf events (https://protobuf.dev), read with the message type that their frame names.

A registry holds the text of a schema; protoc (of grpcio-tools) makes descriptors of it, once a schema. Fields keep the
names of the schema; 64-bit numbers are text, bytes base64 and times RFC 3339, as in protobuf's own JSON.
"""

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from connectors.registry.client import Schema
from domain.errors import MissingExtra
from domain.sources.mapping import Unmappable

EVENT = "structured_prompt_event.proto"
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\.proto")
"""What an import may be called: no way out of the folder that it is compiled in."""
MOST_NESTED = 32


def needed() -> Any:
    """protoc. Raises MissingExtra."""
    try:
        import google.protobuf  # noqa: F401
        from grpc_tools import protoc
    except ImportError as error:
        raise MissingExtra("reading Protobuf", "protobuf") from error
    return protoc


def compile(schema: Schema) -> Callable[[bytes], Any]:
    """Raises Unmappable for what is no Protobuf schema."""
    if schema.kind != "PROTOBUF":
        raise Unmappable(f"the record's schema is {schema.kind[:20]}, and not PROTOBUF")
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.message_factory import GetMessageClass

    pool = _pool(_descriptors(schema))
    types = list(pool.FindFileByName(EVENT).message_types_by_name.values())

    def read(value: bytes) -> Any:
        path, start = indexes(value)
        try:
            message = GetMessageClass(_type(types, path))()
            message.ParseFromString(value[start:])
            return MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=pool)
        except Exception as error:  # noqa: BLE001 - protobuf raises whatever wrong bytes lead to
            raise Unmappable(f"the record is not what its schema says ({type(error).__name__})") from None

    return read


def _descriptors(schema: Schema) -> bytes:
    """A FileDescriptorSet with the schema as EVENT and everything it imports. Raises Unmappable."""
    protoc = needed()
    with TemporaryDirectory(prefix="protobuf-") as name:
        folder, made = Path(name), Path(name) / "descriptors"
        _write(folder, EVENT, schema)
        known = Path(protoc.__file__).parent / "_proto"
        paths = [f"-I{folder}", f"-I{known}", "--include_imports", f"--descriptor_set_out={made}"]
        if protoc.main(["protoc", *paths, EVENT]) != 0:
            raise Unmappable("its schema cannot be read: protoc says why in the log")
        return made.read_bytes()


def _write(folder: Path, name: str, schema: Schema) -> None:
    if not _FILE.fullmatch(name):
        raise Unmappable("its schema imports a file of a name that is not taken")
    for imported, reference in schema.references.items():
        _write(folder, imported, reference)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(schema.text, encoding="utf-8")


def _pool(descriptors: bytes) -> Any:
    """Of its own: two schemas may have types of the same name."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from google.protobuf.descriptor_pool import DescriptorPool

    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptors).file:
        pool.Add(file)
    return pool


def _type(types: Any, path: list[int]) -> Any:
    """The message type at these places: the first in the file, each of the others within the one before."""
    found = types[path[0]]
    for place in path[1:]:
        found = found.nested_types[place]
    return found


def indexes(value: bytes) -> tuple[list[int], int]:
    """Which message of the schema it is, and where it begins; a single zero stands for the first. Raises Unmappable."""
    count, at = _varint(value, 0)
    path = []
    for _ in range(min(count, MOST_NESTED)):
        place, at = _varint(value, at)
        path.append(place)
    return path or [0], at


def _varint(value: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint that is not negative, and where the next begins."""
    number = shift = 0
    while at < len(value) and shift < 35:
        byte = value[at]
        number, at, shift = number | (byte & 0x7F) << shift, at + 1, shift + 7
        if byte < 0x80:
            break
    else:
        raise Unmappable("the record does not say which message of its schema it is")
    if number % 2:
        raise Unmappable("the record does not say which message of its schema it is")
    return number >> 1, at
