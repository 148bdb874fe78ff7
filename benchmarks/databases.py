"""A migrated PostgreSQL database for one benchmark, on the server of DATABASE_URL."""

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from connectors.postgres.migrate import upgrade


@contextmanager
def own_database() -> Iterator[str]:
    """Its URL; it is gone after the block. Nothing else on the server is touched."""
    name = f"bench_{secrets.token_hex(4)}"
    asyncio.run(_administer(f"CREATE DATABASE {name}"))
    try:
        url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
        upgrade(url)
        yield url
    finally:
        asyncio.run(_administer(f"DROP DATABASE {name} WITH (FORCE)"))


async def _administer(statement: str) -> None:
    owner = await asyncpg.connect(os.environ["DATABASE_URL"])
    try:
        await owner.execute(statement)
    finally:
        await owner.close()
