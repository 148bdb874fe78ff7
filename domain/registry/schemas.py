"""Adding versions of a named output schema, and changing how the next one must fit."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.errors import InvalidRequest, Permanent, Problem, Transient
from domain.output.schema import compile as compile_schema
from domain.ports import Schemas
from domain.schemas.compatibility import incompatible
from domain.schemas.model import COMPATIBILITIES, DEFAULT, Compatibility, SchemaRef, SchemaVersion, is_name

TRIES = 5


class Incompatible(Permanent):
    """The new version does not fit the one before; `problems` say where and why."""

    def __init__(self, message: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(message)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Registered:
    """`created` is False where the newest version is this schema already, and in a dry run."""

    version: SchemaVersion
    compatibility: Compatibility
    created: bool


class Registry:
    """`now` gives the time in UTC."""

    def __init__(self, schemas: Schemas, now: Callable[[], datetime]) -> None:
        self._schemas = schemas
        self._now = now

    async def add(
        self, ref: SchemaRef, schema: dict[str, Any], compatibility: str | None = None, *, dry_run: bool = False
    ) -> Registered:
        """The next version. `compatibility` is what the name has from now on, for this version too.

        Raises InvalidRequest for what is no schema or name, Incompatible, and Transient when others are faster.
        """
        _check(ref.name, compatibility)
        digest = compile_schema(schema).digest
        for _ in range(TRIES):
            known = await self._schemas.get(ref.tenant, ref.name)
            mode = _mode(compatibility) or (known.compatibility if known else DEFAULT)
            [last] = await self._schemas.find([SchemaRef(ref.tenant, ref.name)])
            if last is not None and last.digest == digest:
                return await self._same(last, mode, known is not None and known.compatibility != mode and not dry_run)
            _fits(last, schema, mode)
            number = 1 if last is None else last.version + 1
            version = SchemaVersion(ref.tenant, ref.name, number, schema, digest, self._now())
            if dry_run or await self._schemas.add(version, mode):
                return Registered(version, mode, not dry_run)
        raise Transient(f"others add versions of {ref.name!r} at this moment; try again")

    async def set_compatibility(self, ref: SchemaRef, compatibility: str) -> bool:
        """False when there is no such schema. Raises InvalidRequest."""
        _check(ref.name, compatibility)
        mode = _mode(compatibility) or DEFAULT
        return await self._schemas.set_compatibility(ref.tenant, ref.name, mode)

    async def _same(self, last: SchemaVersion, mode: Compatibility, changed: bool) -> Registered:
        if changed:
            await self._schemas.set_compatibility(last.tenant, last.name, mode)
        return Registered(last, mode, created=False)


def _fits(last: SchemaVersion | None, schema: dict[str, Any], mode: Compatibility) -> None:
    problems = incompatible(last.schema, schema, last.version, mode) if last is not None else ()
    if last is not None and problems:
        first = f"{problems[0].path or 'the root'}: {problems[0].message}"
        raise Incompatible(f"not {mode} compatible with version {last.version} of {last.name!r}: {first}", problems)


def _mode(compatibility: str | None) -> Compatibility | None:
    return next((mode for mode in COMPATIBILITIES if mode == compatibility), None)


def _check(name: str, compatibility: str | None) -> None:
    if not is_name(name):
        raise _wrong("/name", "must be 1 to 64 letters, digits, '.', '_' or '-'")
    if compatibility is not None and _mode(compatibility) is None:
        raise _wrong("/compatibility", f"must be one of {', '.join(COMPATIBILITIES)}")


def _wrong(path: str, message: str) -> InvalidRequest:
    return InvalidRequest("invalid_request", f"{path}: {message}", [Problem(path, message)])
