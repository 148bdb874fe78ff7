"""A named output schema: versions that never change, and how a new one must fit the one before."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeGuard, get_args

from domain.errors import InvalidRequest, Problem

Compatibility = Literal["NONE", "BACKWARD", "FORWARD", "FULL"]
"""BACKWARD: who reads by the new version reads results of the one before. FORWARD: the other way round. FULL: both."""
COMPATIBILITIES: tuple[Compatibility, ...] = get_args(Compatibility)
DEFAULT: Compatibility = "BACKWARD"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """One version; `digest` is that of its compiled schema."""

    tenant: str
    name: str
    version: int
    schema: dict[str, Any]
    digest: str
    created_at: datetime

    @property
    def ref(self) -> dict[str, Any]:
        """As a result names it."""
        return {"name": self.name, "version": self.version}


@dataclass(frozen=True, slots=True)
class SchemaName:
    """A line of `GET /v1/schemas`."""

    name: str
    compatibility: Compatibility
    latest: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SchemaRef:
    """What a request asks for; the newest version where it names none."""

    tenant: str
    name: str
    version: int | None = None


def is_name(text: object) -> bool:
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def is_reference(schema: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
    """Whether an `output_schema` is `{"name", "version"}` and no JSON Schema."""
    return schema is not None and "name" in schema and set(schema) <= {"name", "version"}


def reference(tenant: str, schema: Mapping[str, Any]) -> SchemaRef:
    """What `{"name", "version"}` refers to. Raises InvalidRequest("invalid_request")."""
    name, version = schema.get("name"), schema.get("version")
    if not is_name(name):
        raise _wrong("/output_schema/name", "must be 1 to 64 letters, digits, '.', '_' or '-'")
    if version is not None and (type(version) is not int or version < 1):
        raise _wrong("/output_schema/version", "must be a whole number from 1 on")
    return SchemaRef(tenant, str(name), version)


def _wrong(path: str, message: str) -> InvalidRequest:
    return InvalidRequest("invalid_request", f"{path}: {message}", [Problem(path, message)])
