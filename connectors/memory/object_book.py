"""What was read of the objects of sources, in this process: the twin of that in connectors/postgres."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from domain.sources.objects import Found, Progress


class MemoryObjectBook:
    """Implements domain.ports.ObjectBook."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[Found, Progress]] = {}
        self._held: dict[str, tuple[str, datetime]] = {}

    async def hold(self, source: str, member: str, now: datetime, lease: timedelta) -> bool:
        holder, until = self._held.get(source, (member, now))
        if holder != member and until > now:
            return False
        self._held[source] = (member, now + lease)
        return True

    async def known(self, source: str, keys: Sequence[str]) -> Mapping[str, Progress]:
        return {key: self._rows[source, key][1] for key in keys if (source, key) in self._rows}

    async def before_last(self, source: str, count: int) -> str:
        keys = sorted((key for of, key in self._rows if of == source), key=str.encode)
        return keys[-count - 1] if len(keys) > count else ""

    async def note(self, source: str, found: Found, rows: int, done: bool) -> None:
        self._rows[source, found.key] = (found, Progress(found.version, rows, done))

    async def forget(self, source: str, since: datetime) -> None:
        gone = [key for key, (found, _) in self._rows.items() if key[0] == source and found.modified_at >= since]
        for key in gone:
            del self._rows[key]

    async def close(self) -> None:
        """Nothing is held open."""
