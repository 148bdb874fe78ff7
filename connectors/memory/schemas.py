"""Named output schemas in this process."""

from collections.abc import Sequence

from domain.schemas.model import Compatibility, SchemaName, SchemaRef, SchemaVersion


class MemorySchemas:
    """Implements domain.ports.Schemas. `asked` counts the look-ups."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], list[SchemaVersion]] = {}
        self._modes: dict[tuple[str, str], Compatibility] = {}
        self.asked = 0

    async def find(self, wanted: Sequence[SchemaRef]) -> list[SchemaVersion | None]:
        self.asked += 1
        return [self._one(ref) for ref in wanted]

    async def add(self, version: SchemaVersion, compatibility: Compatibility) -> bool:
        name = (version.tenant, version.name)
        if any(one.version == version.version for one in self._versions.get(name, ())):
            return False
        self._versions.setdefault(name, []).append(version)
        self._modes[name] = compatibility
        return True

    async def get(self, tenant: str, name: str) -> SchemaName | None:
        versions = self._versions.get((tenant, name))
        if not versions:
            return None
        newest = max(versions, key=lambda one: one.version)
        return SchemaName(name, self._modes[tenant, name], newest.version, newest.created_at)

    async def names(self, tenant: str, limit: int, after: str) -> list[SchemaName]:
        names = sorted(name for owner, name in self._versions if owner == tenant and name > after)
        found = [await self.get(tenant, name) for name in names[:limit]]
        return [one for one in found if one is not None]

    async def versions(self, tenant: str, name: str) -> list[SchemaVersion]:
        return sorted(self._versions.get((tenant, name), ()), key=lambda one: -one.version)

    async def set_compatibility(self, tenant: str, name: str, compatibility: Compatibility) -> bool:
        if (tenant, name) not in self._modes:
            return False
        self._modes[tenant, name] = compatibility
        return True

    def _one(self, ref: SchemaRef) -> SchemaVersion | None:
        versions = sorted(self._versions.get((ref.tenant, ref.name), ()), key=lambda one: -one.version)
        return next((one for one in versions if ref.version in (None, one.version)), None)
