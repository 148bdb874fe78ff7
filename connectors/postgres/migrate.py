"""Brings a database to the newest schema."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from connectors.postgres.partitions import ensure_partitions
from connectors.postgres.pool import CONNECT_TIMEOUT, connect
from connectors.postgres.similar import ensure as ensure_similar
from domain.errors import Unavailable

_LOCK = 0x5370_4D69  # one migration at a time in a database; the number is ours
_PATIENCE = 60.0


def upgrade(database_url: str) -> None:
    """Migrate and make the day partitions of the next days. Does nothing where nothing is missing.

    Several callers take turns. Raises Unavailable when the server cannot be reached.
    """
    with ThreadPoolExecutor(1) as thread:  # the caller may have a running loop of its own
        thread.submit(asyncio.run, _upgrade(database_url)).result()


@dataclass(frozen=True, slots=True)
class Standing:
    """`version` is None where nothing was migrated yet, `newest` what this program needs; `now` is the server's."""

    version: str | None
    newest: str
    now: datetime


async def standing(database_url: str) -> Standing:
    """Where the database stands. Raises Unavailable when it does not answer, or refuses who asks."""
    pool = await connect(database_url, 1)
    try:
        (found,) = await pool.fetch("SELECT clock_timestamp() AS now, to_regclass('alembic_version')::text AS versions")
        rows = await pool.fetch("SELECT version_num FROM alembic_version") if found["versions"] else []
    finally:
        await pool.close()
    newest = ScriptDirectory.from_config(_config()).get_current_head() or ""
    return Standing(rows[0]["version_num"] if rows else None, newest, found["now"])


async def _upgrade(database_url: str) -> None:
    await _migrate(database_url)
    pool = await connect(database_url, 1, timeout=_PATIENCE)
    try:
        await ensure_partitions(pool, datetime.now(UTC).date())
        await ensure_similar(pool)
    finally:
        await pool.close()


async def _migrate(database_url: str) -> None:
    url = make_url(database_url).set(drivername="postgresql+asyncpg")
    arguments = {"timeout": CONNECT_TIMEOUT, "server_settings": {"timezone": "UTC"}}
    engine = create_async_engine(url, poolclass=NullPool, connect_args=arguments)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_run)
    except (OSError, TimeoutError, asyncpg.PostgresConnectionError, OperationalError, InterfaceError) as error:
        place = url.render_as_string(hide_password=True)
        raise Unavailable(f"cannot migrate {place}: {error}; check DATABASE_URL and its rights") from error
    finally:
        await engine.dispose()


def _run(connection: Connection) -> None:
    """Inside one transaction: the lock is held until everything is committed."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "connectors.postgres:migrations")
    config.set_main_option("path_separator", "os")
    return config
