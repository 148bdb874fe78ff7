"""The schema: numbered files in schema/, each applied once. `structured-prompt migrate` calls `upgrade`."""

import asyncio
import re
from dataclasses import dataclass
from importlib.resources import files

from connectors.clickhouse.client import ClickHouse

FILE_NAME = re.compile(r"(\d{3})_(\w+)\.sql")
STATEMENT_END = re.compile(r";\s*$", re.MULTILINE)
VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_versions
(
    version UInt32,
    name String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY version
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of schema/, in statements: the HTTP protocol takes one at a time."""

    version: int
    name: str
    statements: tuple[str, ...]


def upgrade(url: str) -> None:
    """Bring the database of `url` up to date, creating it where it is missing. Not for a thread with a running loop.

    Every statement may be repeated, so that two upgrades at once, or one after a crash, do no harm.
    Raises Unavailable when the server does not answer or refuses.
    """
    asyncio.run(_upgrade(url))


async def _upgrade(url: str) -> None:
    async with ClickHouse(url) as clickhouse:
        # a name cannot be a parameter, and is quoted
        # nosemgrep: sql-built-from-strings
        await clickhouse.execute(f"CREATE DATABASE IF NOT EXISTS {_quoted(clickhouse.database)}", database="default")
        await apply(clickhouse)


async def apply(clickhouse: ClickHouse) -> list[str]:
    """Apply what is missing; the names of what was applied."""
    await clickhouse.execute(VERSIONS)
    known = {row["version"] for row in await clickhouse.select("SELECT version FROM schema_versions FINAL", {})}
    applied = []
    for migration in migrations():
        if migration.version in known:
            continue
        for statement in migration.statements:
            await clickhouse.execute(statement)
        values = f"({migration.version}, '{migration.name}')"
        # both are a file's name in this package
        # nosemgrep: sql-built-from-strings
        await clickhouse.execute(f"INSERT INTO schema_versions (version, name) VALUES {values}")  # noqa: S608
        applied.append(migration.name)
    return applied


async def lacking(clickhouse: ClickHouse) -> list[str]:
    """The migrations that were not applied yet, all of them in a database without tables.

    Raises Unavailable, also where there is no such database yet.
    """
    asked = "SELECT count() AS n FROM system.tables WHERE database = {database:String} AND name = 'schema_versions'"
    (found,) = await clickhouse.select(asked, {"database": clickhouse.database})
    rows = await clickhouse.select("SELECT version FROM schema_versions FINAL", {}) if found["n"] else []
    known = {row["version"] for row in rows}
    return [migration.name for migration in migrations() if migration.version not in known]


def migrations() -> list[Migration]:
    """All files of schema/, in order."""
    found = []
    for file in files("connectors.clickhouse").joinpath("schema").iterdir():
        if match := FILE_NAME.fullmatch(file.name):
            statements = STATEMENT_END.split(file.read_text(encoding="utf-8"))
            found.append(Migration(int(match[1]), match[2], tuple(s.strip() for s in statements if s.strip())))
    return sorted(found, key=lambda migration: migration.version)


def _quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
