"""A migration suits the version before it (docs/upgrade.md): it adds, and takes nothing away that somebody may use."""

import re
from pathlib import Path

import pytest

CONTRACTS = re.compile(
    r"\bDROP\s+(?:TABLE|COLUMN|CONSTRAINT|TYPE|VIEW|FUNCTION|SCHEMA)\b"
    r"|\bRENAME\b|(?<!\bBEFORE )\bTRUNCATE\b|\bMODIFY\s+COLUMN\s+\w+\s+(?!Tuple\b)\w"
    r"|\bALTER\s+(?:COLUMN\s+)?\w+\s+(?:SET\s+DATA\s+)?TYPE\b|\bSET\s+NOT\s+NULL\b|\bDROP\s+DEFAULT\b"
    # the version before does not write it
    r"|\bADD\s+COLUMN\s+(?:IF\s+NOT\s+EXISTS\s+)?\w+\s+(?:(?!\bDEFAULT\b)[^,;])*\bNOT\s+NULL\b(?![^,;]*\bDEFAULT\b)",
    re.IGNORECASE,
)
AFTER_A_RELEASE: set[str] = set()
"""Files that take away what the release before no longer used."""


def statements(text: str) -> str:
    """Without comments, which may say anything."""
    return re.sub(r"--[^\n]*", "", text)


@pytest.mark.parametrize(
    ("sql", "contracts"),
    [
        ("ALTER TABLE claims ADD COLUMN followed boolean NOT NULL DEFAULT false;", False),
        ("ALTER TABLE claims ADD COLUMN followed boolean DEFAULT false NOT NULL;", False),
        ("ALTER TABLE claims ADD COLUMN note text;", False),
        ("CREATE TABLE more (id text NOT NULL, note text NOT NULL);", False),
        ("DROP INDEX waiting_not_before;", False),
        ("ALTER TABLE claims ADD COLUMN followed boolean NOT NULL;", True),
        ("ALTER TABLE claims ADD COLUMN a text NOT NULL, ADD COLUMN b text DEFAULT '';", True),
        ("ALTER TABLE claims DROP COLUMN followed;", True),
        ("ALTER TABLE claims RENAME COLUMN followed TO led;", True),
        ("ALTER TABLE claims ALTER COLUMN run TYPE bigint;", True),
        ("ALTER TABLE claims ALTER COLUMN run SET NOT NULL;", True),
        ("DROP TABLE claims;", True),
        ("TRUNCATE claims;", True),
        ("CREATE TRIGGER kept BEFORE TRUNCATE ON rows EXECUTE FUNCTION refuse();", False),
        ("ALTER TABLE calls MODIFY COLUMN cost_usd Float64;", True),
        ("-- DROP TABLE is not done here\nSELECT 1;", False),
    ],
)
def test_what_takes_away_is_told_from_what_adds(sql: str, contracts: bool) -> None:
    assert bool(CONTRACTS.search(statements(sql))) == contracts


def test_no_migration_takes_away_what_the_version_before_uses(root: Path) -> None:
    files = [
        *sorted((root / "connectors/postgres/migrations/versions").glob("[0-9]*")),
        *sorted((root / "connectors/clickhouse/schema").glob("*.sql")),
    ]
    assert len(files) > 20, "a look at nothing would prove nothing"
    found = {file.name: CONTRACTS.findall(statements(file.read_text())) for file in files}
    assert {name: words for name, words in found.items() if words and name not in AFTER_A_RELEASE} == {}
