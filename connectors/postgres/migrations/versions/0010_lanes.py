"""Limits of tokens and of calls in flight, plans, and who waits for a place."""

from importlib.resources import files

from alembic import op

revision = "0010"
down_revision = "0008"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0010_lanes.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
