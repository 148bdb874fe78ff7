"""The backup that staging runs, and its way back, against real engines."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from connectors.clickhouse.migrate import upgrade
from ops.local.environment import clean
from ops.local.postgres import installed
from tests.conftest import _clickhouse, _postgres, new_database

SCRIPT = Path(__file__).parents[2] / "ops" / "staging" / "backup" / "backup.sh"
pytestmark = pytest.mark.integration
ROWS = """
INSERT INTO {name}.results (tenant, id, run, status, cost_usd, completed_at)
SELECT 'acme', toString(number), 1, 'completed', 0.25, now64(3) FROM numbers(2000)
"""

TENANT = "INSERT INTO tenants (name, active, store_answers) VALUES ('{}', true, false)"
COUNT = "SELECT count(), sum(cost_usd), sum(revision) FROM results FINAL"
USAGE = "SELECT sum(requests), sum(cost_usd) FROM usage_daily"


@pytest.fixture
def backup(tmp_path: Path) -> Callable[..., str]:
    def run(*words: str, database: str, clickhouse: str, keep: int = 14) -> str:
        binaries = installed(None) / "bin"
        environment = clean(os.environ) | {
            "PATH": f"{binaries}:{os.environ['PATH']}", "DATABASE_URL": database, "CLICKHOUSE_URL": clickhouse,
            "BACKUP_DIR": str(tmp_path / "backups"), "BACKUP_KEEP": str(keep),
        }  # fmt: skip
        done = subprocess.run(
            ["bash", SCRIPT, *words], capture_output=True, text=True, env=environment, timeout=100, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def count(url: str, query: str) -> str:
    import httpx

    parts = urlsplit(url)
    asked = {"database": parts.path.strip("/"), "query": query}
    auth = (parts.username or "", parts.password or "")
    return httpx.get(f"http://{parts.hostname}:{parts.port}/", params=asked, auth=auth, timeout=20).text.strip()


def tenants(url: str) -> list[str]:
    import asyncio

    import asyncpg

    async def ask() -> list[str]:
        connection = await asyncpg.connect(url)
        try:
            return [row["name"] for row in await connection.fetch("SELECT name FROM tenants ORDER BY name")]
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_what_was_backed_up_comes_back_and_nothing_is_counted_twice(
    backup: Callable[..., str], database_url: str, migrated_template: str, clickhouse_url: str, tmp_path: Path
) -> None:
    upgrade(clickhouse_url)
    name = urlsplit(clickhouse_url).path.strip("/")
    _clickhouse(clickhouse_url, ROWS.format(name=name))
    _postgres(database_url, TENANT.format("kept"))
    backup("once", database=database_url, clickhouse=clickhouse_url)
    (made,) = (tmp_path / "backups").iterdir()
    assert {path.stat().st_mode & 0o077 for path in made.rglob("*")} == {0}
    before = [count(clickhouse_url, query) for query in (COUNT, USAGE)]
    _clickhouse(clickhouse_url, f"INSERT INTO {name}.results (tenant, id) VALUES ('acme', 'after the backup')")
    with new_database(database_url, migrated_template) as fresh:
        _postgres(fresh, TENANT.format("new"))
        backup("restore", str(made), database=fresh, clickhouse=clickhouse_url)
        assert tenants(fresh) == tenants(database_url)
    assert [count(clickhouse_url, query) for query in (COUNT, USAGE)] == before
    assert before[0].split("\t")[0] == "2000"


def test_the_oldest_are_removed_and_what_was_left_half_done(
    backup: Callable[..., str], database_url: str, clickhouse_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    for old in ("2025-01-01T00-00-00Z", "2025-01-02T00-00-00Z", "2025-01-03T00-00-00Z", "2025-01-04T00-00-00Z.new"):
        (folder / old).mkdir(parents=True)
    backup("once", database=database_url, clickhouse=clickhouse_url, keep=3)
    kept = sorted(path.name for path in folder.iterdir())
    assert kept[:2] == ["2025-01-02T00-00-00Z", "2025-01-03T00-00-00Z"]
    assert len(kept) == 3
    assert not kept[2].endswith(".new")


def test_a_folder_that_is_no_backup_changes_nothing(backup: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="holds no whole backup"):
        backup("restore", str(tmp_path), database="postgresql://nobody", clickhouse="http://nobody/none")
