"""Exports into a bucket, and their schedules."""

from importlib.resources import files

from alembic import op

revision = "0015"
down_revision = "0017"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0015_exports.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
