"""Named output schemas as this process last saw them. Versions never change; which is the newest is asked again."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from domain.errors import InvalidRequest, Problem
from domain.schemas.model import SchemaRef, SchemaVersion, reference

Find = Callable[[Sequence[SchemaRef]], Awaitable[list[SchemaVersion | None]]]
FRESH_S = 5.0
"""How long the newest version, or that there is none, is believed."""
MAX_REMEMBERED = 10_000


class Book:
    """`load` what a batch needs, in one statement at most; `get` then knows it.

    `find` is that of the port Schemas, `clock` gives monotonic seconds.
    """

    def __init__(self, find: Find, clock: Callable[[], float]) -> None:
        self._find = find
        self._clock = clock
        self._known: dict[SchemaRef, tuple[float, SchemaVersion | None]] = {}

    async def load(self, wanted: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """`wanted` are tenants and their `{"name", "version"}`; what is none is left to `get`. Raises Unavailable."""
        now = self._clock()
        refs = {ref for tenant, schema in wanted if (ref := _reference(tenant, schema)) is not None}
        missing = [ref for ref in refs if ref not in self._known or self._known[ref][0] <= now]
        if not missing:
            return
        if len(self._known) + len(missing) > MAX_REMEMBERED:
            # what this batch found fresh a moment ago must still be there for it
            self._known = {ref: self._known[ref] for ref in refs if ref in self._known}
        for ref, found in zip(missing, await self._find(missing), strict=True):
            lasting = found is not None and ref.version is not None
            self._known[ref] = (float("inf") if lasting else now + FRESH_S, found)

    def get(self, tenant: str, schema: Mapping[str, Any]) -> SchemaVersion:
        """What was loaded. Raises InvalidRequest("invalid_request") for what does not exist."""
        ref = reference(tenant, schema)
        _, found = self._known.get(ref, (0.0, None))
        if found is not None:
            return found
        path = "/output_schema/name" if ref.version is None else "/output_schema/version"
        what = f"named {ref.name!r}" if ref.version is None else f"named {ref.name!r} with version {ref.version}"
        message = f"there is no output schema {what}; GET /v1/schemas lists them, POST /v1/schemas adds one"
        raise InvalidRequest("invalid_request", message, [Problem(path, "is not known")])


def _reference(tenant: str, schema: Mapping[str, Any]) -> SchemaRef | None:
    try:
        return reference(tenant, schema)
    except InvalidRequest:
        return None
