"""Named output schemas."""

from collections.abc import Sequence
from typing import Protocol

from domain.schemas.model import Compatibility, SchemaName, SchemaRef, SchemaVersion


class Schemas(Protocol):
    """The versions of a tenant's output schemas. A version never changes and is never taken back."""

    async def find(self, wanted: Sequence[SchemaRef]) -> list[SchemaVersion | None]:
        """In the order of `wanted`, in one statement; the newest version where a reference names none."""
        ...

    async def add(self, version: SchemaVersion, compatibility: Compatibility) -> bool:
        """False when there is a version of that number: somebody else was faster. `compatibility` is the name's now."""
        ...

    async def get(self, tenant: str, name: str) -> SchemaName | None: ...

    async def names(self, tenant: str, limit: int, after: str) -> list[SchemaName]:
        """In the order of their names, those after `after`."""
        ...

    async def versions(self, tenant: str, name: str) -> list[SchemaVersion]:
        """Newest first."""
        ...

    async def set_compatibility(self, tenant: str, name: str, compatibility: Compatibility) -> bool:
        """False when there is no such schema."""
        ...
