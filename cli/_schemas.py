"""What `schemas` does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from cli._output import print_error, print_json, print_rows
from cli._stack import Stack
from cli._submit import read_schema
from cli._target import Target, find
from connectors import catalog
from connectors.audited.postgres import Repositories
from connectors.postgres.pool import connect
from domain.errors import Conflict
from domain.output.lint import lint_aliases
from domain.output.schema import compile as compile_schema
from domain.ports import Schemas
from domain.registry.schemas import Incompatible, Registry
from domain.routing.catalogue import Catalogue
from domain.schemas.model import SchemaRef

T = TypeVar("T")
COLUMNS = ("name", "compatibility", "latest", "updated_at")
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Addition:
    """A version to add."""

    name: str
    file: Path
    mode: str | None
    dry_run: bool


def list_all(stack: Stack, tenant: str | None, as_json: bool) -> None:
    target = find(stack)
    found = _with_schemas(target, lambda schemas: schemas.names(target.tenant_or(tenant), MOST, ""))
    rows = [{name: getattr(one, name) for name in COLUMNS} for one in found]
    print_rows(COLUMNS, rows, as_json)


def show(stack: Stack, tenant: str | None, name: str, version: int | None) -> None:
    """Raises Conflict when there is none."""
    target = find(stack)
    ref = SchemaRef(target.tenant_or(tenant), name, version)
    [found] = _with_schemas(target, lambda schemas: schemas.find([ref]))
    if found is None:
        raise Conflict(f"there is no such version of {name!r}; `structured-prompt schemas list` shows the names")
    print_json({**found.ref, "schema": found.schema, "created_at": found.created_at})


def add(stack: Stack, tenant: str | None, addition: Addition) -> None:
    """Raises InvalidRequest, and Incompatible after its reasons were printed."""
    target = find(stack)
    ref, schema = SchemaRef(target.tenant_or(tenant), addition.name), read_schema(addition.file)
    mode = addition.mode.upper() if addition.mode else None
    try:
        made = _with_schemas(
            target, lambda schemas: Registry(schemas, _now).add(ref, schema, mode, dry_run=addition.dry_run)
        )
    except Incompatible as error:
        for problem in error.problems:
            print_error(f"{problem.path or 'the root'}: {problem.message}")
        raise
    done = "would be" if addition.dry_run else "is now" if made.created else "is already"
    print(f"{made.version.name} {done} at version {made.version.version} ({made.compatibility})")
    _warn(schema, catalog.catalogue(target.settings, target.environ))


def set_compatibility(stack: Stack, tenant: str | None, name: str, mode: str) -> None:
    """Raises InvalidRequest, and Conflict when there is no such schema."""
    target = find(stack)
    ref = SchemaRef(target.tenant_or(tenant), name)
    if not _with_schemas(target, lambda schemas: Registry(schemas, _now).set_compatibility(ref, mode.upper())):
        raise Conflict(f"there is no output schema {name!r}; `structured-prompt schemas list` shows the names")
    print(f"{name}: the next version must be {mode.upper()} compatible")


def _warn(schema: dict[str, Any], catalogue: Catalogue) -> None:
    """What models that aliases stand for first will not enforce of it."""
    for name, problems in lint_aliases(compile_schema(schema), catalogue.aliases).items():
        for one in problems:
            print(f"warning: {name}: {one.path or 'the root'}: {one.message}")


def _with_schemas(target: Target, work: Callable[[Schemas], Awaitable[T]]) -> T:
    async def run() -> T:
        pool = await connect(target.settings.database_url.get_secret_value(), 1)
        try:
            return await work(Repositories(pool).schemas)
        finally:
            await pool.close()

    return asyncio.run(run())


def _now() -> datetime:
    return datetime.now(UTC)
