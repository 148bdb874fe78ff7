"""A near cache before a far one. It knows only the Cache port."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from domain.errors import Unavailable
from domain.ports import Cache


def _ignore(trouble: Unavailable) -> None:
    """Nobody wants to know."""


class TieredCache:
    """Implements Cache and never raises Unavailable: without the far cache, answers are misses.

    What comes from afar is kept near for `near_ttl` at most, since its remaining time is not known here.
    `on_trouble` hears of every time the far cache failed.
    """

    def __init__(
        self, near: Cache, far: Cache, near_ttl: timedelta, on_trouble: Callable[[Unavailable], None] = _ignore
    ) -> None:
        self._near = near
        self._far = far
        self._near_ttl = near_ttl
        self._on_trouble = on_trouble

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        found = await self._near.get_many(keys)
        missing = list(dict.fromkeys(key for key, value in zip(keys, found, strict=True) if value is None))
        if not missing:
            return found
        fetched = await self._fetch(missing)
        await self._near.put_many(list(fetched.items()), self._near_ttl)
        return [fetched.get(key) if value is None else value for key, value in zip(keys, found, strict=True)]

    async def put_many(self, entries: Sequence[tuple[str, bytes]], ttl: timedelta) -> None:
        await self._near.put_many(entries, min(ttl, self._near_ttl))
        try:
            await self._far.put_many(entries, ttl)
        except Unavailable as trouble:
            self._on_trouble(trouble)

    async def _fetch(self, keys: Sequence[str]) -> dict[str, bytes]:
        try:
            values = await self._far.get_many(keys)
        except Unavailable as trouble:
            self._on_trouble(trouble)
            return {}
        return {key: value for key, value in zip(keys, values, strict=True) if value is not None}
