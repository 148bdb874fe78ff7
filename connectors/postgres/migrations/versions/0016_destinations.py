"""Destinations of tenants beside webhooks."""

from importlib.resources import files

from alembic import op

revision = "0016"
down_revision = "0020"


def upgrade() -> None:
    script = (files("connectors.postgres.migrations.versions") / "0016_destinations.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
