"""Named output schemas of a tenant: what its requests may refer to as `{"name", "version"}`."""

from collections.abc import Awaitable
from typing import Any, TypeVar

import orjson

from api.problems import Problem, of_unreadable
from api.within import LEDGER, within
from domain.errors import InvalidRequest
from domain.errors import Problem as Reason
from domain.output.lint import lint_aliases
from domain.output.schema import compile as compile_schema
from domain.ports import Schemas
from domain.registry.schemas import Incompatible, Registered, Registry
from domain.routing.catalogue import Catalogue
from domain.schemas.model import SchemaName, SchemaRef, SchemaVersion, is_name
from topics import codec
from topics.base import format_time

PATIENCE_S = 5.0
FIELDS = frozenset({"name", "schema", "compatibility"})
T = TypeVar("T")


class SchemaService:
    """Raises Problem, and Transient where PostgreSQL does not answer."""

    def __init__(self, schemas: Schemas, registry: Registry, catalogue: Catalogue) -> None:
        self._schemas = schemas
        self._registry = registry
        self._catalogue = catalogue

    async def add(self, tenant: str, raw: bytes, dry_run: bool) -> Registered:
        """Adds a version, or tells that it is there already."""
        fields = _fields(raw)
        ref, schema = SchemaRef(tenant, _name(fields)), fields.get("schema")
        if not isinstance(schema, dict):
            raise _wrong("/schema", "must be a JSON Schema: an object")
        try:
            return await _soon(self._registry.add(ref, schema, _mode(fields), dry_run=dry_run))
        except Incompatible as error:
            raise Problem("incompatible_schema", str(error), error.problems) from None
        except InvalidRequest as error:
            raise Problem("invalid_request", *_renamed(error)) from None

    def registered(self, made: Registered) -> bytes:
        """The body of an answer to POST."""
        mode = {"compatibility": made.compatibility, "created": made.created}
        said = {**mode, "warnings": self._warnings(made.version.schema)}
        return orjson.dumps({"name": made.version.name, **_version(made.version), **said})

    async def change(self, tenant: str, name: str, raw: bytes) -> bytes:
        """Changes how the next version must fit."""
        mode = _mode(_fields(raw))
        if mode is None:
            raise _wrong("/compatibility", "is required")
        if not is_name(name) or not await _soon(self._registry.set_compatibility(SchemaRef(tenant, name), mode)):
            raise _unknown(name)
        return await self.one(tenant, name)

    async def page(self, tenant: str, limit: int, cursor: str | None) -> bytes:
        """`cursor` is the last name of the page before."""
        found = await _soon(self._schemas.names(tenant, limit + 1, cursor or ""))
        more = found[limit - 1].name if len(found) > limit else None
        return orjson.dumps({"items": [_line(one) for one in found[:limit]], "next_cursor": more})

    async def one(self, tenant: str, name: str) -> bytes:
        """The name with all its versions, newest first."""
        known = await _soon(self._schemas.get(tenant, name)) if is_name(name) else None
        if known is None:
            raise _unknown(name)
        versions = await _soon(self._schemas.versions(tenant, name))
        return orjson.dumps({**_line(known), "versions": [_version(one) for one in versions]})

    async def version(self, tenant: str, name: str, version: int | None) -> bytes:
        """One version, the newest for None."""
        [found] = await _soon(self._schemas.find([SchemaRef(tenant, name, version)])) if is_name(name) else [None]
        if found is None:
            raise _unknown(name, version)
        return orjson.dumps({"name": name, **_version(found)})

    def _warnings(self, schema: dict[str, Any]) -> list[dict[str, str]]:
        """What models that aliases stand for first will not enforce of it, and where: there it may cost re-asks."""
        found = lint_aliases(compile_schema(schema), self._catalogue.aliases)
        return [{"model": name, "path": one.path, "message": one.message} for name in found for one in found[name]]


async def _soon(call: Awaitable[T]) -> T:
    return await within(call, PATIENCE_S, LEDGER)


def _fields(raw: bytes) -> dict[str, Any]:
    try:
        fields = codec.read_object(raw)
    except codec.Unreadable as error:
        raise of_unreadable(error) from None
    for name in fields:
        if name not in FIELDS:
            raise _wrong(f"/{name}", "unknown field")
    return fields


def _name(fields: dict[str, Any]) -> str:
    name = fields.get("name")
    if not isinstance(name, str):
        raise _wrong("/name", "is required")
    return name


def _mode(fields: dict[str, Any]) -> str | None:
    mode = fields.get("compatibility")
    if mode is not None and not isinstance(mode, str):
        raise _wrong("/compatibility", "must be a text")
    return mode.upper() if mode is not None else None


def _renamed(error: InvalidRequest) -> tuple[str, tuple[Reason, ...]]:
    """The field is called `schema` here."""
    found = ((one.path.replace("/output_schema", "/schema", 1), one.message) for one in error.problems)
    return str(error).replace("output_schema", "schema"), tuple(Reason(*one) for one in found)


def _line(known: SchemaName) -> dict[str, Any]:
    return {
        "name": known.name,
        "compatibility": known.compatibility,
        "latest_version": known.latest,
        "updated_at": format_time(known.updated_at),
    }


def _version(version: SchemaVersion) -> dict[str, Any]:
    return {"version": version.version, "schema": version.schema, "created_at": format_time(version.created_at)}


def _unknown(name: str, version: int | None = None) -> Problem:
    which = f" with version {version}" if version is not None else ""
    return Problem("not_found", f"there is no output schema named {name[:64]!r}{which}; GET /v1/schemas lists them")


def _wrong(path: str, message: str) -> Problem:
    return Problem("invalid_request", f"{path}: {message}", (Reason(path, message),))
